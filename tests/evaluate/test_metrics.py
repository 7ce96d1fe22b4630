"""Metrics of one classifier, and its groups without rows."""

import json
from pathlib import Path

import numpy as np
import pytest
from commands import command
from outcomes import COUNTS, SETTINGS, metrics, run

from fairgen.core import parquet
from fairgen.core.errors import FairgenError
from fairgen.evaluate import intervals, results
from fairgen.evaluate.comparison import summarise as over_runs
from fairgen.evaluate.metrics import Predictions, accuracies, on_shift, summarise


def test_accuracies_have_their_own_names() -> None:
    found = run(0.9, 0.4, 0.8)
    assert (found["worst_group"], found["worst_group_accuracy"]) == ("xb", 0.4)
    assert found["bias_conflicting_accuracy"] == 0.4
    assert found["train_weighted_accuracy"] == pytest.approx((90 * 0.9 + 10 * 0.4 + 100 * 0.8) / 200)
    low, high = found["worst_group_wilson95"]
    assert low < 0.4 < high
    assert found["groups"]["xb"] == {
        "accuracy": 0.4,
        "wilson95": pytest.approx([0.1682, 0.6873], abs=1e-4),
        "n": 10,
        "train_n": 10,
        "validation_n": 0,
    }
    assert found["expected_calibration_error"] == pytest.approx(0.1)


def test_average_weights_rows_and_balanced_weights_groups() -> None:
    groups = {"a": {"accuracy": 0.75, "n": 4, "train_n": 1}, "b": {"accuracy": 0.5, "n": 2, "train_n": 3}}
    groups = {name: {**g, "validation_n": 1} for name, g in groups.items()}
    found = accuracies(groups, {"a", "b"})
    assert found["average_accuracy"] == found["bias_conflicting_accuracy"] == pytest.approx(4 / 6)
    assert found["balanced_accuracy"] == pytest.approx((0.75 + 0.5) / 2)
    assert found["train_weighted_accuracy"] == pytest.approx((0.75 + 3 * 0.5) / 4)


def test_an_empty_group_is_flagged_and_left_out() -> None:
    found = metrics(xa=0.5, yb=1.0)
    assert found["groups"]["xb"] == {
        "accuracy": None,
        "wilson95": None,
        "n": 0,
        "train_n": 10,
        "validation_n": 0,
    }
    assert found["empty_groups"] == {"train": [], "validation": ["xb"], "test": ["xb"]}
    assert (found["worst_group"], found["balanced_accuracy"]) == ("xa", 0.75)
    assert found["train_weighted_accuracy"] == pytest.approx((90 * 0.5 + 100) / 190)
    assert found["bias_conflicting_accuracy"] is None
    assert found["equalized_odds_difference"] is None
    assert found["auroc"] is not None


def test_without_test_rows_every_figure_is_null() -> None:
    found = summarise(Predictions(*[np.array([])] * 3), SETTINGS, COUNTS)
    assert found.pop("empty_groups")["test"] == ["xa", "xb", "yb"]
    assert {name for name, value in found.items() if value is not None} == {"groups"}
    with pytest.raises(FairgenError, match="no group has a test row"):
        over_runs([found])


def test_every_kind_of_group_without_rows_is_named() -> None:
    rows = {"train": {"xa": 90}, "validation": {"xa": 9, "xb": 1}}
    found = summarise(Predictions(*[np.array([])] * 3), SETTINGS, rows)["empty_groups"]
    assert found == {"train": ["xb", "yb"], "validation": ["yb"], "test": ["xa", "xb", "yb"]}
    assert [line.split(",")[0] for line in results.missing(found | {"test": []})] == [
        "group xb",
        "group yb: no validation image",
    ]


def test_metrics_as_a_command(tmp_path: Path) -> None:
    """With rows of a second test set, whose accuracies stand apart; a validation row counts in neither."""
    rows = {
        "group": ["a"] * 6,
        "split": ["test", "test", "shift", "shift", "shift", "validation"],
        "predicted": ["x", "y", "x", "x", "y", "y"],
        "probabilities": [[0.9, 0.1], [0.3, 0.7], *[[0.5, 0.5]] * 4],
    }
    parquet.write(tmp_path / "p.parquet", rows, {"weights_sha256": "0"})
    parquet.write(tmp_path / "s.parquet", {"id": [1]}, {"counts": {"train": {"a": 5}}})
    settings = {"groups": {"a": {"target": "x", "bias": "b", "role": "aligned"}}, "classes": ["x", "y"]}
    files = {
        "predictions": tmp_path / "p.parquet",
        "split": tmp_path / "s.parquet",
        "metrics": tmp_path / "m.json",
    }
    done = command("metrics", settings, **files)
    assert done.returncode == 0
    found = json.loads((tmp_path / "m.json").read_text())
    assert found["worst_group_accuracy"] == 0.5
    assert (found["groups"]["a"]["train_n"], found["auroc"], found["weights_sha256"]) == (5, None, "0")
    shift = found["shift"]
    assert shift["worst_group_accuracy"] == shift["balanced_accuracy"] == pytest.approx(2 / 3)
    assert (shift["worst_group"], shift["groups"]["a"]["n"]) == ("a", 3)


def test_without_rows_of_a_second_test_set_there_is_no_shift() -> None:
    assert on_shift(Predictions(*[np.array([])] * 3), SETTINGS) is None


def test_hits_are_whole_numbers_and_the_first_of_equal_groups_is_the_worst() -> None:
    """0.29 of 100 is 28.999… in floating point."""
    groups = {"a": {"accuracy": 0.29, "n": 100, "train_n": 1, "validation_n": 1}}
    assert accuracies(groups, set())["worst_group_wilson95"] == intervals.wilson_minimum([29], [100])
    assert run(0.5, 0.5)["worst_group"] == "xa"
