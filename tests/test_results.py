"""Metrics and the comparison."""

import numpy as np
import pytest

from fairgen.metrics import summarise
from fairgen.worst_group import interval, over_seeds, pairs, student_quantile, terminal_table
from fairgen.worst_group import summarise as over_runs


def run(*accuracies: float) -> dict:
    """Metrics of one seed with two groups of ten rows."""
    correct = np.concatenate([np.arange(10) < a * 10 for a in accuracies])
    return summarise(correct, np.repeat(["a", "b"], 10), ["a", "b"])


def test_worst_average_and_balanced() -> None:
    correct, group = np.array([1, 1, 1, 0, 0, 1]).astype(bool), np.array(["a"] * 4 + ["b"] * 2)
    found = summarise(correct, group, ["a", "b", "c"])
    assert (found["worst_group"], found["worst_group_accuracy"]) == ("b", 0.5)
    assert found["average_accuracy"] == pytest.approx(4 / 6)
    assert found["balanced_accuracy"] == pytest.approx((0.75 + 0.5) / 2)
    assert found["groups"]["c"] == {"accuracy": None, "n": 0}
    assert found["empty_groups"] == ["c"]


def test_minimum_per_seed_comes_before_the_mean() -> None:
    entry = over_runs([run(0.2, 0.8), run(0.8, 0.4)])
    assert entry["worst_group_accuracy"]["mean"] == pytest.approx(0.3)
    assert entry["worst_group"] == {"per_seed": ["a", "b"], "by_mean": "a"}
    assert entry["groups"]["a"]["accuracy"]["mean"] == pytest.approx(0.5)


@pytest.mark.parametrize(("dof", "quantile"), [(1, 12.7062), (2, 4.30265), (4, 2.77645), (30, 2.04227)])
def test_student_quantiles_agree_with_the_tables(dof: int, quantile: float) -> None:
    assert student_quantile(0.975, dof) == pytest.approx(quantile, rel=1e-4)


def test_student_interval() -> None:
    """t(2, 0.975) = 4.303: three values with sd 1."""
    assert interval([1.0, 2.0, 3.0]) == pytest.approx([2 - 4.30265 / 3**0.5, 2 + 4.30265 / 3**0.5], rel=1e-4)
    assert over_seeds([0.5])["ci95"] is None


def test_a_winner_needs_its_paired_interval_above_zero() -> None:
    clear = {"x": over_runs([run(0.9, 0.9)] * 3), "y": over_runs([run(0.1, 0.9), run(0.2, 0.9), run(0.1, 0.8)])}
    assert pairs(clear)["winner"] == "x"
    unclear = {"x": over_runs([run(0.9, 0.9), run(0.1, 0.9), run(0.9, 0.9)]), "y": over_runs([run(0.5, 0.9)] * 3)}
    assert pairs(unclear)["leader"] == "x"
    assert pairs(unclear)["winner"] is None
    assert "no winner: x leads" in terminal_table({"0.9": unclear}, {"0.9": pairs(unclear)}, 3)
    assert "x wins" in terminal_table({"0.9": clear}, {"0.9": pairs(clear)}, 3)
