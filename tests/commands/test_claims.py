"""`fairgen claims`, on planted replicates."""

import json
from pathlib import Path

import numpy as np
import pytest
from workflows import result

from fairgen.cli import main
from fairgen.core.errors import FairgenError
from fairgen.evaluate import results
from fairgen.evaluate.claims import judge
from fairgen.evaluate.intervals import ranking
from fairgen.evaluate.replicates import Files, Replicates, work
from fairgen.report import replicated

SAME = [0.70, 0.71, 0.69]
PLAIN = {"erm": SAME, "vanilla": SAME, "lora": [0.80, 0.81, 0.79], "clustered": SAME}
WHOLE = {**PLAIN, "dreambooth": SAME, "groupdro": SAME}
WEAK, STRONG = [0.60, 0.61, 0.59], [0.74, 0.75, 0.73]  # groupdro below and above clustered


def written(folder: Path, ratios: dict[float | str, dict[str, list[float]]]) -> Path:
    """The replicates.json of three replicates, each method's values in their order."""
    tables = []
    for i in range(3):
        parts = [result(ratios=(r,), **{m: [v[i]] for m, v in own.items()}) for r, own in ratios.items()]
        whole = parts[0]
        for part in parts[1:]:
            for key in ("results", "comparisons"):
                whole[key] |= part[key]
        tables.append(folder / f"{i}.json")
        tables[-1].write_text(json.dumps(whole))
    settings = Replicates("toy", ["toy", "toy-1", "toy-2"], None)
    work(settings, Files(work=None, tables=tables, replicates=folder / "replicates.json"))
    return folder / "replicates.json"


def verdicts(path: Path, *words: str) -> dict[tuple[str, str], str]:
    """What the command says of each claim at each ratio."""
    table = path.with_name("claims.json")
    assert main(["claims", str(path), "--json", str(table), "--finetuned", "lora", "clustered", *words]) == 0
    return {
        (row["claim"][0], row["ratio"]): row["verdict"] for row in json.loads(table.read_text())["claims"]
    }


def test_planted_claims_are_judged_by_their_intervals(tmp_path: Path) -> None:
    low, high = {**PLAIN, "groupdro": STRONG}, {**PLAIN, "groupdro": WEAK}
    path = written(tmp_path, {0.999: high, 0.9: low, "natural": low})
    found = verdicts(path)
    assert set(found.values()) == {"held"}
    assert {ratio for _, ratio in found} == {"natural", "0.9", "0.999", "mean", "0.999 − 0.9"}
    assert {claim for claim, ratio in found if ratio == "natural"} == {"1", "2"}  # which knows no growth
    assert verdicts(path, "--margin", "0.03")["2", "0.9"] == "not held"
    swapped = verdicts(written(tmp_path, {0.999: low, 0.9: high}))
    assert swapped["3", "0.999"] == swapped["3", "0.999 − 0.9"] == "not held"


def test_data_that_are_not_cut_judge_the_first_two_claims(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = written(tmp_path, {"natural": {**PLAIN, "groupdro": WEAK}})
    assert verdicts(path) == {("1", "natural"): "held", ("2", "natural"): "held"}
    assert "no bias ratio is a number: claim 3, " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "resplit"),
    [
        ({"format": "folder", "root": "data/own"}, 0.125),
        (
            {"format": "folder", "root": "data/own", "settings": {"index": {"fractions": [0.6, 0.1, 0.3]}}},
            0.5,
        ),
        ({"format": "birds", "root": "results/birds"}, 0),
    ],
)
def test_other_splits_of_the_same_images_are_told_and_judged_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict, resplit: float
) -> None:
    data = {"settings": {}, **change}
    config = {
        "index": {"fractions": [0.8, 0.1, 0.1]},
        "dataset": data,
        "methods": {"erm": {"synthetic": False}},
    }
    tables = []
    for i in range(3):
        found = result(ratios=(0.9,), erm=[0.5 + 0.1 * i], groupdro=[0.5 + 0.12 * i])
        for entry in found["results"]["0.9"].values():
            entry["groups"] = {name: own | {"train_n": 900} for name, own in entry["groups"].items()}
        tables.append(tmp_path / f"{i}.json")
        tables[-1].write_text(json.dumps(found | {"config": config}))
    path = tmp_path / "replicates.json"
    work(Replicates("own", ["a", "b", "c"], None), Files(work=None, tables=tables, replicates=path))
    document = results.load(path, "replicates")
    assert document["resplit"] == resplit
    low, high = document["results"]["0.9"]["erm"]["worst_group_accuracy"]["ci95"]
    assert (high - low) / 2 == pytest.approx(4.3027 * 0.1 * (1 / 3 + resplit) ** 0.5, abs=1e-4)
    assert len(replicated.claims(document, path).notes) == bool(resplit)
    monkeypatch.setattr("fairgen.evaluate.replication.same_rows", lambda tables: [("a", "b")])
    work(Replicates("own", ["a", "b", "c"], None), Files(work=None, tables=tables, replicates=path))
    assert results.load(path, "replicates")["resplit"] == resplit  # one pair alike makes nothing surer
    monkeypatch.setattr("fairgen.evaluate.replication.same_rows", lambda tables: [("a", "b"), ("a", "c")])
    work(Replicates("own", ["a", "b", "c"], None), Files(work=None, tables=tables, replicates=path))
    assert results.load(path, "replicates")["resplit"] == 0  # one set of test rows, of which it is told
    document["resplit"] = resplit + 0.1
    path.write_text(json.dumps(document))
    with pytest.raises(FairgenError, match="the figures over replicates are not those of their values"):
        results.load(path, "replicates")


def test_an_interval_on_both_sides_decides_nothing(tmp_path: Path) -> None:
    unsteady = {**PLAIN, "groupdro": [0.9, 0.7, 0.4]}
    found = verdicts(written(tmp_path, {0.99: unsteady}))
    assert found == {("1", "0.99"): "held", ("2", "0.99"): "undecided", ("3", "0.99"): "undecided"}


def test_the_terminal_shows_a_table(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = written(tmp_path, {0.99: {**PLAIN, "groupdro": WEAK, "dreambooth": SAME}})
    capsys.readouterr()
    assert main(["claims", str(path)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("toy, 3 whole-chain replicates\n")
    assert "3. clustered ahead of groupdro" in said
    table, _, note = said.rstrip().rpartition("\n")
    assert table.endswith("held")
    assert note.startswith("one bias ratio: whether the lead grows with the bias")


@pytest.mark.parametrize(
    ("ratios", "words", "line"),
    [
        ({0.9: PLAIN}, [], "no dreambooth, groupdro among the methods that it compares (erm, vanilla, "),
        ({0.9: PLAIN}, ["--ours", "ours"], "no dreambooth, ours, groupdro among the methods"),
        ({0.9: WHOLE}, ["--ours", "groupdro"], "ours groupdro would be compared with itself"),
        ({0.9: WHOLE}, ["--finetuned", "lora", "lora"], "finetuned lora lora: name each method once"),
        ({0.9: WHOLE}, ["--finetuned", "lora", "vanilla"], "not vanilla, which they are compared with"),
        ({0.9: WHOLE}, ["--margin", "nan"], "margin nan is no difference of accuracies"),
        ({0.9: WHOLE}, ["--margin", "2"], "margin 2.0 is no difference of accuracies"),
        ({0.9: WHOLE}, ["--json", "nowhere/claims.json"], "cannot write nowhere/claims.json: No such file"),
    ],
)
def test_what_cannot_be_judged_is_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture, ratios: dict, words: list[str], line: str
) -> None:
    assert main(["claims", str(written(tmp_path, ratios)), *words]) == 1
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1


def test_seeds_of_one_chain_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    table = tmp_path / "worst_group.json"
    table.write_text(json.dumps(result(erm=[0.1, 0.2, 0.3])))
    assert main(["claims", str(table)]) == 1
    assert f"{table} is no replicates.json; give the path of one" in capsys.readouterr().err
    assert main(["compare", str(written(tmp_path, {0.9: PLAIN})), str(table)]) == 1
    assert "replicates.json is no worst_group.json" in capsys.readouterr().err


def test_no_claim_is_about_a_ceiling(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = written(tmp_path, {0.9: {**WHOLE, "perfect": STRONG}})
    document = json.loads(path.read_text())
    values = {m: r["worst_group_accuracy"]["per_replicate"] for m, r in document["results"]["0.9"].items()}
    document["comparisons"]["0.9"] = ranking(values, "replicate", ["perfect"])
    document["ceilings"] = ["perfect"]
    path.write_text(json.dumps(document))
    assert main(["claims", str(path)]) == 0
    assert main(["claims", str(path), "--ours", "perfect"]) == 1
    assert "perfect only shows what could be had (ceiling: true)" in capsys.readouterr().err


def test_rounding_is_no_growth() -> None:
    """0.3 − 0.1 and 0.8 − 0.6 differ in their last digits."""
    same = {"vanilla": np.array([0.5] * 3), "lora": np.array([0.6] * 3)}
    runs = {
        "0.9": {**same, "clustered": np.array([0.3] * 3), "groupdro": np.array([0.1] * 3)},
        "0.99": {**same, "clustered": np.array([0.8] * 3), "groupdro": np.array([0.6] * 3)},
    }
    assert judge(runs, ["lora"], "clustered", 0.05)[-1].mean > 0
    assert judge(runs, ["lora"], "clustered", 0.05)[-1].verdict == "not held"


def test_groups_without_rows_and_the_ablation_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = written(tmp_path, {0.9: WHOLE, 0.99: WHOLE})
    document = json.loads(path.read_text()) | {"ablation": "labels"}
    document["empty_groups"]["0.99"]["test"] = ["b"]
    path.write_text(json.dumps(document))
    capsys.readouterr()
    assert main(["claims", str(path)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("toy labels, 3 whole-chain replicates\n")
    assert said.endswith("\nbias ratio 0.99, group b: no test image, so no figure speaks about it\n")


def test_a_trial_claims_nothing(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Drawings by the embedded model for other data than its own."""
    tables = []
    for i in range(3):
        tables.append(tmp_path / f"{i}.json")
        table = result(ratios=(0.9,), **{name: [values[i]] for name, values in WHOLE.items()})
        data = {"format": "folder", "root": "own", "settings": {}}
        table["config"] |= {"diffusion": {"model": results.EMBEDDED}, "dataset": data}
        table["config"]["index"] = {"fractions": [0.8, 0.1, 0.1]}
        tables[-1].write_text(json.dumps(table))
    files = Files(work=None, tables=tables, replicates=tmp_path / "replicates.json")
    work(Replicates("toy", ["toy", "toy-1", "toy-2"], None), files)
    capsys.readouterr()
    assert main(["claims", str(files.replicates)]) == 1
    assert "replicates.json: A trial: the generator is fairgen's embedded" in capsys.readouterr().err
    found = replicated.read([files.replicates], "toy")
    assert found["claims"].judged == [] and found["claims"].why == found["trial"] == results.TRIAL
    assert found["map"] is None
