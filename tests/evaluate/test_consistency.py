"""Published results that contradict themselves."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from workflows import result

from fairgen.core.errors import FairgenError
from fairgen.evaluate import intervals, results
from fairgen.evaluate.replicates import Files, Replicates, work

VALUES = {"erm": [0.5, 0.6, 0.55], "lora": [0.7, 0.8, 0.9], "groupdro": [0.6, 0.7, 0.5]}


@pytest.fixture
def replicates(tmp_path: Path) -> dict[str, Any]:
    """A sound `replicates.json`."""
    tables = []
    for i in range(3):
        tables.append(tmp_path / f"{i}.json")
        tables[-1].write_text(json.dumps(result(ratios=(0.9,), **{m: [v[i]] for m, v in VALUES.items()})))
    path = tmp_path / "replicates.json"
    work(Replicates("toy", ["toy", "toy-1", "toy-2"], None), Files(work=None, tables=tables, replicates=path))
    return json.loads(path.read_text())


def lora(document: dict[str, Any]) -> dict[str, Any]:
    return document["results"]["0.9"]["lora"]


def per_run(values: list[float], key: str) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        lora(document)["worst_group_accuracy"][key] = values

    return change


def moved(to: str) -> Callable[[dict[str, Any]], None]:
    """The ratio under another name."""

    def change(document: dict[str, Any]) -> None:
        for key in ("results", "comparisons"):
            document[key] = {to: document[key]["0.9"]}

    return change


def mean(document: dict[str, Any]) -> None:
    lora(document)["worst_group_accuracy"]["mean"] = 0.99


def interval(document: dict[str, Any]) -> None:
    lora(document)["worst_group_accuracy"]["ci95"][0] += 0.1


def comparison(document: dict[str, Any]) -> None:
    document["comparisons"]["0.9"]["leader_minus"]["erm"]["mean"] += 0.1


def leader(document: dict[str, Any]) -> None:
    document["comparisons"]["0.9"]["leader"] = "erm"


def winner(document: dict[str, Any]) -> None:
    document["comparisons"]["0.9"]["winner"] = "erm"


def other_ratio(document: dict[str, Any]) -> None:
    document["comparisons"] = {"0.95": document["comparisons"]["0.9"]}


def nobody(document: dict[str, Any]) -> None:
    document["comparisons"]["0.9"]["leader_minus"] = None


BOTH = [
    (mean, "results.0.9.lora.worst_group_accuracy: the figures over "),
    (interval, "results.0.9.lora.worst_group_accuracy: the figures over "),
    (comparison, "comparisons.0.9.leader_minus does not follow from results"),
    (leader, "comparisons.0.9.leader does not follow from results"),
    (winner, "comparisons.0.9.winner does not follow from results"),
    (other_ratio, "other bias ratios than each other"),
    (nobody, "leader_minus"),
    (moved("9"), "results.9 is no bias ratio"),
    (moved("abc"), "results.abc is no bias ratio"),
]


def refused(document: dict[str, Any], folder: Path, kind: str) -> str:
    path = folder / f"{kind}-changed.json"
    path.write_text(json.dumps(document))
    with pytest.raises(FairgenError) as error:
        results.load(path, kind)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
    return str(error.value)


def unranked(run: str) -> Callable[[dict[str, Any]], None]:
    """A method that no comparison ranks, as if it were a ceiling."""

    def change(document: dict[str, Any]) -> None:
        own = {m: r["worst_group_accuracy"][f"per_{run}"] for m, r in document["results"]["0.9"].items()}
        document["comparisons"]["0.9"] = intervals.ranking(own, run, ceilings=["groupdro"])

    return change


@pytest.mark.parametrize(
    ("change", "line"),
    [
        *BOTH,
        (
            per_run([0.99] * 3, "per_replicate"),
            "worst_group_accuracy: the figures over repl",
        ),
        (per_run([0.7] * 4, "per_replicate"), "lora has 4 values for 3 replicates"),
        (lambda d: lora(d)["over_seeds"].reverse(), "per_replicate has other values than over_seeds"),
        (
            lambda d: lora(d)["over_seeds"][0]["per_seed"].append(0.1),
            ".over_seeds.0: the figures over seeds are",
        ),
        (unranked("replicate"), "comparisons.0.9: it leaves other methods aside than its ceilings"),
    ],
)
def test_replicates_that_contradict_themselves_are_refused(
    tmp_path: Path, replicates: dict, change: Callable, line: str
) -> None:
    changed = copy.deepcopy(replicates)
    change(changed)
    assert line in refused(changed, tmp_path, "replicates")


def beside(*path: str) -> Callable[[dict[str, Any]], None]:
    """The mean of another figure."""

    def change(document: dict[str, Any]) -> None:
        found = lora(document)
        for key in path:
            found = found[key]
        found["mean"] += 0.01

    return change


def group(document: dict[str, Any]) -> None:
    own = [value - 0.1 for value in VALUES["lora"]]
    lora(document)["groups"]["a"]["accuracy"] = intervals.over_runs(own)


def fewer(document: dict[str, Any]) -> None:
    lora(document)["groups"]["a"]["accuracy"] = intervals.over_runs(VALUES["lora"][:2])


def named(document: dict[str, Any]) -> None:
    group(document)
    own = lora(document)
    own["worst_group_accuracy"] = own["groups"]["a"]["accuracy"]
    own["worst_group"]["by_mean"] = "b"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        *BOTH,
        (per_run([0.7], "per_seed"), "1 values for 3 seeds"),
        (beside("balanced_accuracy"), "results.0.9.lora.balanced_accuracy: the figures over seeds are not"),
        (beside("groups", "a", "accuracy"), "results.0.9.lora.groups.a.accuracy: the figures over seeds"),
        (group, "results.0.9.lora.worst_group_accuracy: it is not that of the worst group"),
        (fewer, "results.0.9.lora.groups: a group has other seeds than the worst one"),
        (named, "results.0.9.lora.worst_group.by_mean: b is not the worst group"),
        (unranked("seed"), "comparisons.0.9: it leaves other methods aside than its ceilings"),
    ],
)
def test_a_comparison_that_contradicts_itself_is_refused(tmp_path: Path, change: Callable, line: str) -> None:
    document = result(ratios=(0.9,), **VALUES)
    path = tmp_path / "worst_group.json"
    path.write_text(json.dumps(document))
    assert results.load(path)["results"] == json.loads(json.dumps(document))["results"]
    change(document)
    assert line in refused(document, tmp_path, "worst_group")


def test_json_that_is_too_deep_is_told_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "worst_group.json"
    path.write_text("[" * 100_000)
    with pytest.raises(FairgenError, match="is not JSON"):
        results.load(path)
