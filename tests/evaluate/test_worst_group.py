"""The comparison of all methods, and the file that is published."""

import copy
import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from outcomes import CONFIG, USED, metrics, run

from fairgen.core import schemas
from fairgen.core.errors import FairgenError
from fairgen.evaluate import results
from fairgen.evaluate.comparison import (
    WorstGroup,
    compare,
    figure_cells,
    one_run,
    pairs,
    table_rows,
    terminal_table,
)
from fairgen.evaluate.comparison import summarise as over_runs
from fairgen.evaluate.results import SHIFTED
from fairgen.evaluate.worst_group import work


def test_minimum_per_seed_comes_before_the_mean() -> None:
    entry = over_runs([run(0.2, 0.8), run(0.8, 0.4)])
    assert entry["worst_group_accuracy"]["mean"] == pytest.approx(0.3)
    assert entry["worst_group"]["per_seed"] == ["xa", "xb"]
    assert entry["worst_group"]["by_mean"] == "xa"
    assert len(entry["worst_group"]["wilson95"]) == len(entry["groups"]["xa"]["wilson95"]) == 2
    assert entry["groups"]["xa"]["accuracy"]["mean"] == pytest.approx(0.5)


def test_a_figure_that_one_seed_does_not_define_is_null() -> None:
    whole, part = run(0.5, 0.5), {**run(0.5, 0.5), "auroc": None}
    assert over_runs([whole, part])["auroc"] is None
    assert table_rows({"0.9": {"erm": over_runs([whole, part])}})[0]["auroc"] is None


def test_the_terminal_names_the_winner_and_empty_groups() -> None:
    def table(**methods: list[dict]) -> str:
        entries = {name: over_runs(runs) for name, runs in methods.items()}
        document = {
            "dataset": "toy",
            "seeds": [0],
            "results": {"0.9": entries},
            "comparisons": {"0.9": pairs(entries, CONFIG)},
        }
        return terminal_table(document)

    text = table(x=[run(0.9, 0.9)] * 3, erm=[run(0.1, 0.9), run(0.2, 0.9), run(0.1, 0.8)])
    assert "x is ahead on this chain: " in text
    assert "toy, bias ratio 0.9" in text
    assert text.splitlines()[3].endswith("selection")
    assert "group xb: no validation image, so the selection of weights did not see it" in text
    few = table(erm=[metrics(xa=0.5, yb=1.0)])
    assert "group xb: no test image, so no figure speaks about it" in few
    assert few.splitlines()[3].split()[2] == "n/a"


@pytest.fixture
def document(tmp_path: Path) -> dict:
    """A result file of two methods and three seeds, written by the stage."""
    files = []
    for i, found in enumerate(
        [run(0.2, 0.1), run(0.3, 0.1), run(0.2, 0.1), run(0.9, 0.8), run(0.9, 0.7), run(0.9, 0.6)]
    ):
        files.append(tmp_path / f"{i}.json")
        files[-1].write_text(json.dumps(found))
    settings = WorstGroup("toy", [0.99], ["erm", "lora"], [0, 1, 2], "0" * 64, CONFIG)
    work(
        settings,
        SimpleNamespace(metrics=files, table=tmp_path / "worst_group.json", csv=tmp_path / "worst_group.csv"),
    )
    return results.load(tmp_path / "worst_group.json")


def test_the_file_holds_what_is_published(document: dict, tmp_path: Path) -> None:
    assert document["schema_version"] == 3
    assert document["config"] == CONFIG
    entry = document["results"]["0.99"]["lora"]
    assert set(entry["worst_group_accuracy"]) == {"mean", "sd", "ci95", "per_seed"}
    assert {key: entry[key] for key in USED} == USED | {"weights_sha256": [USED["weights_sha256"]] * 3}
    assert document["comparisons"]["0.99"]["minus_erm"]["lora"]["mean"] == pytest.approx(0.6)
    assert document["comparisons"]["0.99"]["minus_groupdro"] is None
    rows = list(csv.DictReader((tmp_path / "worst_group.csv").open()))
    assert [row["method"] for row in rows] == ["erm", "lora"]
    assert float(rows[1]["worst_group_wilson_low"]) < 0.7 < float(rows[1]["worst_group_wilson_high"])
    assert (rows[0]["no_validation_row"], rows[0]["no_test_row"]) == ("xb", "")
    assert (rows[0]["xb_validation_n"], rows[0]["xb_train_n"]) == ("0", "10")
    ends = [
        end for entry in document["results"]["0.99"].values() for end in entry["average_accuracy"]["ci95"]
    ]
    assert min(ends) >= 0 and max(ends) <= 1


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("schema_version",), 1, "schema_version"),
        (("config_sha256",), "abc", "config_sha256"),
        (("config",), {"methods": {}}, "config"),
        (("results", "0.99", "erm", "average_accuracy", "ci95"), [0.5, 1.2], "average_accuracy.ci95"),
        (("results", "0.99", "erm", "empty_groups"), ["xb"], "empty_groups"),
        (("results", "0.99", "erm", "worst_group_accuracy", "mean"), 1.5, "worst_group_accuracy.mean"),
        (("results", "0.99", "erm", "worst_group_accuracy"), None, "worst_group_accuracy"),
        (("results", "0.99", "erm", "groups", "xa", "accuracy"), None, "groups.xa.accuracy"),
        (("comparisons", "0.99", "leader"), None, "leader"),
    ],
)
def test_the_schema_refuses_a_broken_file(document: dict, path: tuple, value: object, named: str) -> None:
    schema = schemas.published("worst_group")
    schemas.check(document, schema, "worst_group.json")
    broken = copy.deepcopy(document)
    place = broken
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(FairgenError, match=named):
        schemas.check(broken, schema, "worst_group.json")
    del place[path[-1]]
    with pytest.raises(FairgenError, match=path[-1]):
        schemas.check(broken, schema, "worst_group.json")


def test_the_schema_itself_is_valid_and_described() -> None:
    from jsonschema import Draft202012Validator

    schema = schemas.published("worst_group")
    Draft202012Validator.check_schema(schema)
    assert all(
        "description" in entry or "$ref" in entry
        for entry in schema["properties"].values()
        if "const" not in entry
    )


def test_the_second_test_set_stands_apart_and_ranks_nothing(document: dict) -> None:
    """In the file, in the CSV and on the terminal, beside a ranking that is the same without it."""
    runs = [run(0.9, 0.4), run(0.8, 0.6), run(0.9, 0.5)]
    groups = {"xa": {"accuracy": 0.5, "n": 4}, "xb": {"accuracy": None, "n": 0}}
    for i, one in enumerate(runs):
        one["shift"] = {**dict.fromkeys(SHIFTED, 0.2 + i / 10), "groups": groups}
    entry = over_runs(runs)
    assert entry["shift"]["worst_group_accuracy"]["per_seed"] == pytest.approx([0.2, 0.3, 0.4])
    assert entry["shift"]["groups"]["xa"]["accuracy"]["mean"] == 0.5
    assert entry["shift"]["groups"]["xb"] == {"n": 0, "accuracy": None}
    assert entry["worst_group_accuracy"]["mean"] == 0.5
    (row,) = table_rows({"0.9": {"erm": entry}})
    assert row["shift_worst_group_accuracy"] == pytest.approx(0.3)
    own = {
        **document,
        "results": {"0.9": {"erm": entry}},
        "comparisons": {"0.9": pairs({"erm": entry}, CONFIG)},
    }
    schemas.check(own, schemas.published("worst_group"), "worst_group.json")
    assert "worst group on shift, the second test set: erm 0.300" in terminal_table(own)
    assert "shift" not in terminal_table(document)


def test_metrics_without_their_figures_are_named(tmp_path: Path) -> None:
    file = tmp_path / "metrics.json"
    file.write_text(json.dumps({"worst_group": "a", "groups": {}}))
    with pytest.raises(
        FairgenError, match=rf"^{file} lacks .*empty_groups, shift: it was changed by hand; delete it"
    ):
        one_run(file)


def test_each_figure_stands_at_its_ratio_and_method(tmp_path: Path) -> None:
    files = []
    for number, worst in enumerate((0.1, 0.2, 0.3, 0.4)):
        files.append(tmp_path / f"{number}.json")
        files[-1].write_text(json.dumps(run(worst, 1.0)))
    asked = WorstGroup("toy", [0.9, 0.99], ["erm", "lora"], [0], "0" * 64, CONFIG)
    found = compare(asked, files)["results"]
    means = {
        ratio: [entry["worst_group_accuracy"]["mean"] for entry in own.values()]
        for ratio, own in found.items()
    }
    assert means == {"0.9": [0.1, 0.2], "0.99": [0.3, 0.4]}


def test_a_methods_worst_group_is_that_of_the_means() -> None:
    """Not of the first seed, whose worst is another; intervals are each seed's own."""
    assert over_runs([run(0.5, 0.6), run(0.9, 0.4)])["worst_group"]["by_mean"] == "xb"
    runs = [run(0.2, 0.8), run(0.8, 0.4)]
    found = over_runs(runs)
    assert found["worst_group"]["wilson95"] == [one["worst_group_wilson95"] for one in runs]
    (row,) = table_rows({"0.9": {"erm": found}})
    low, high = np.mean([one["worst_group_wilson95"] for one in runs], axis=0)
    assert row["worst_group_wilson_low"] == pytest.approx(low)
    assert row["worst_group_wilson_high"] == pytest.approx(high)


def test_the_largest_number_of_steps_is_told() -> None:
    steps = [run(0.5, 0.5) | {"gradient_steps": count} for count in (30, 50, 40)]
    assert over_runs(steps)["gradient_steps"] == 50


def test_cells_of_a_figure() -> None:
    figure = {"mean": 0.5, "sd": 0.1, "ci95": [0.3, 0.7]}
    assert figure_cells("x", figure) == {"x": 0.5, "x_sd": 0.1, "x_low": 0.3, "x_high": 0.7}


def test_of_the_second_test_set_the_worst_group_is_shown_and_the_best_method_stands_first() -> None:
    one = run(0.9, 0.4)
    one["shift"] = {"worst_group_accuracy": 0.2, "balanced_accuracy": 0.5, "average_accuracy": 0.7}
    one["shift"]["groups"] = {"xa": {"accuracy": 0.2, "n": 4}}
    entries = {"erm": over_runs([one] * 3), "x": over_runs([run(0.9, 1.0)] * 3)}
    assert table_rows({"0.9": entries})[0]["shift_worst_group_accuracy"] == pytest.approx(0.2)
    told = {"results": {"0.9": entries}, "comparisons": {"0.9": pairs(entries, CONFIG)}}
    lines = terminal_table({"dataset": "toy", "seeds": [0, 1, 2], **told}).splitlines()
    assert any("second test set: erm 0.200" in line for line in lines)
    assert [line.split()[0] for line in lines[3:5]] == ["x", "erm"]
