"""Intervals over rows and over runs, against values from the books and from plain resampling."""

import numpy as np
import pytest

from fairgen.intervals import bootstrap_minimum, over_runs, ranking, student, verdict, wilson


def test_wilson_by_hand() -> None:
    """z = 1.959964: centre (0.8 + z²/20) / (1 + z²/10) = 0.71674, half width z √(0.016 + z²/400) / (1 + z²/10) = 0.22657."""
    assert wilson(8, 10) == pytest.approx([0.49016, 0.94331], abs=1e-5)
    assert wilson(0, 10)[0] == 0
    assert wilson(10, 10)[1] == 1


def test_bootstrap_counts_are_what_resampled_rows_give() -> None:
    rng = np.random.default_rng(1)
    groups = [np.arange(20) < 14, np.arange(30) < 24]
    drawn = [rng.choice(rows, (4000, len(rows))).mean(axis=1) for rows in groups]
    plain = np.quantile(np.minimum(*drawn), [0.025, 0.975])
    assert bootstrap_minimum(np.array([14, 24]), np.array([20, 30])) == pytest.approx(plain, abs=0.03)


def test_bootstrap_covers_and_is_deterministic() -> None:
    rng, n = np.random.default_rng(0), np.array([120, 200])
    counts = [rng.binomial(n, [0.7, 0.95]) for _ in range(200)]
    found = [bootstrap_minimum(right, n, resamples=1000) for right in counts]
    assert sum(low <= 0.7 <= high for low, high in found) / len(found) > 0.9
    assert found == [bootstrap_minimum(right, n, resamples=1000) for right in counts]


@pytest.mark.parametrize(("n", "quantile"), [(2, 12.7062), (3, 4.30265), (5, 2.77645), (31, 2.04227)])
def test_student_interval_agrees_with_the_tables(n: int, quantile: float) -> None:
    values = np.linspace(0, 1, n)
    half = quantile * values.std(ddof=1) / n**0.5
    assert student(values.tolist()) == pytest.approx([0.5 - half, 0.5 + half], rel=1e-4)


def test_over_runs() -> None:
    assert over_runs([1.0, 2.0, 3.0]) == {
        "mean": 2,
        "sd": 1,
        "ci95": pytest.approx([2 - 4.30265 / 3**0.5, 2 + 4.30265 / 3**0.5], rel=1e-4),
        "per_seed": [1.0, 2.0, 3.0],
    }
    assert over_runs([0.5]) == {"mean": 0.5, "sd": None, "ci95": None, "per_seed": [0.5]}
    assert over_runs([0.5, 0.5])["ci95"] == [0.5, 0.5]
    assert over_runs([0.5, None]) is None
    assert over_runs([0.5], "replicate")["per_replicate"] == [0.5]


def test_a_winner_needs_its_paired_interval_above_zero() -> None:
    clear = ranking({"x": [0.9, 0.9, 0.9], "y": [0.1, 0.2, 0.1]})
    assert (clear["leader"], clear["winner"]) == ("x", "x")
    assert clear["leader_minus"]["y"]["per_seed"] == pytest.approx([0.8, 0.7, 0.8])
    assert verdict(clear).startswith("x wins")
    unclear = ranking({"x": [0.9, 0.1, 0.9], "y": [0.5, 0.5, 0.5]})
    assert (unclear["leader"], unclear["winner"]) == ("x", None)
    assert verdict(unclear, "replicate") == "no winner: x leads, but not clearly over y"


def test_differences_to_the_references_are_paired() -> None:
    found = ranking({"erm": [0.1, 0.3], "x": [0.5, 0.4]})
    assert found["minus_erm"].keys() == {"x"}
    assert found["minus_erm"]["x"]["per_seed"] == pytest.approx([0.4, 0.1])
    assert found["minus_groupdro"] is None
