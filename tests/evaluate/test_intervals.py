"""Intervals over rows and over runs, against values from the books, and how often they cover."""

import numpy as np
import pytest

from fairgen.evaluate.intervals import (
    DIFFERENCE,
    aside,
    differences,
    over_runs,
    ranking,
    shown,
    student,
    verdict,
    wilson,
    wilson_minimum,
)


def test_wilson_by_hand() -> None:
    """z = 1.959964: centre (0.8 + z²/20) / (1 + z²/10) = 0.71674, half width z √(0.016 + z²/400) / (1 +
    z²/10) = 0.22657.
    """
    assert wilson(8, 10) == pytest.approx([0.49016, 0.94331], abs=1e-5)
    assert wilson(0, 10)[0] == 0
    assert wilson(10, 10)[1] == 1


def coverage(accuracies: list[float], n: int, draws: int = 2000) -> float:
    """How often the interval of the worst group holds the smallest of these true accuracies, seeded."""
    right = np.random.default_rng(0).binomial(n, accuracies, (draws, len(accuracies)))
    # few of them are different: the interval is slow
    sets, counts = np.unique(right, axis=0, return_counts=True)
    ends = np.array([wilson_minimum(row.tolist(), [n] * len(row)) for row in sets])
    held = (ends[:, 0] <= min(accuracies)) & (min(accuracies) <= ends[:, 1])
    return float(counts[held].sum() / draws)


@pytest.mark.parametrize("n", [50, 400])
@pytest.mark.parametrize("groups", [2, 3, 4])
@pytest.mark.parametrize("worst", [0.6, 0.9, 0.95])
def test_the_interval_of_the_worst_group_covers(worst: float, groups: int, n: int) -> None:
    """Groups that are alike, and one worse than the others; the bootstrap that was here covered 0.63 of four
    alike.
    """
    assert coverage([worst] * groups, n) >= 0.94
    assert coverage([worst] + [worst + 0.04] * (groups - 1), n) >= 0.94


def test_one_group_has_wilsons_interval_with_continuity_correction() -> None:
    """Newcombe 1998, table I, case (a), method 4: 81 of 263 are 0.2535 to 0.3682."""
    assert wilson_minimum([81], [263]) == pytest.approx([0.2535, 0.3682], abs=1e-4)
    low, high = wilson_minimum([81, 81], [263, 263])
    assert low == pytest.approx(0.2535, abs=1e-4)  # as of one group
    assert high > 0.3682  # of each group at half the level
    assert wilson_minimum([10, 0], [10, 10])[0] == 0


@pytest.mark.parametrize(("n", "quantile"), [(3, 4.30265), (5, 2.77645), (31, 2.04227)])
def test_student_interval_agrees_with_the_tables(n: int, quantile: float) -> None:
    values = np.linspace(0.45, 0.55, n)
    half = quantile * values.std(ddof=1) / n**0.5
    assert student(values.tolist()) == pytest.approx([0.5 - half, 0.5 + half], rel=1e-4)


def test_over_runs() -> None:
    half = 4.30265 * 0.1 / 3**0.5
    assert over_runs([0.4, 0.5, 0.6]) == {
        "mean": pytest.approx(0.5),
        "sd": pytest.approx(0.1),
        "ci95": pytest.approx([0.5 - half, 0.5 + half], rel=1e-4),
        "per_seed": [0.4, 0.5, 0.6],
    }
    assert over_runs([0.5]) == {"mean": 0.5, "sd": None, "ci95": None, "per_seed": [0.5]}
    assert over_runs([0.5, 0.5, 0.5])["ci95"] == [0.5, 0.5]
    assert over_runs([0.5, None]) is None
    assert over_runs([0.5], "replicate")["per_replicate"] == [0.5]


def test_intervals_stay_in_the_range_of_their_figure() -> None:
    wide = [0.0, 0.5, 1.0]
    assert over_runs(wide)["ci95"] == [0, 1]
    assert over_runs([0.9, 1.0, 1.0])["ci95"] == [pytest.approx(29 / 30 - 4.30265 / 30, rel=1e-4), 1]
    assert differences({"x": [1.0, 0.0, 1.0], "y": [0.0, 1.0, 0.0]}, "y")["x"]["ci95"] == [-1, 1]
    assert over_runs([0.1, 0.1, 0.4], within=(-2, 2))["ci95"][0] < 0


def test_two_runs_have_no_interval_and_no_winner() -> None:
    """They would be 12.7 standard errors wide on both sides."""
    assert over_runs([0.2, 0.4]) | {"ci95": None} == over_runs([0.2, 0.4])
    assert shown(over_runs([0.2, 0.4])) == "n/a"
    found = ranking({"x": [0.9, 0.9], "y": [0.1, 0.1]})
    assert found["winner"] is None
    assert verdict(found) == "no winner is named: intervals need at least three seeds, there are 2"
    assert verdict(ranking({"x": [0.9], "y": [0.1]})).endswith("there is one")
    assert verdict(ranking({"x": [0.9]})) == "no winner is named: no other method is ranked beside x"


def test_a_winner_needs_its_paired_interval_above_zero() -> None:
    clear = ranking({"x": [0.9, 0.9, 0.9], "y": [0.1, 0.2, 0.1]})
    assert (clear["leader"], clear["winner"]) == ("x", "x")
    assert clear["leader_minus"]["y"]["per_seed"] == pytest.approx([0.8, 0.7, 0.8])
    assert verdict(clear).startswith("x is ahead on this chain: its paired 95 % interval over seeds is above")
    values = {"x": [0.9, 0.9, 0.9], "y": [0.1, 0.2, 0.1]}
    assert verdict(ranking(values, "replicate"), "replicate").startswith("x wins: its paired 95 % interval")
    unclear = ranking({"x": [0.9, 0.1, 0.9], "y": [0.5, 0.5, 0.5]}, "replicate")
    assert (unclear["leader"], unclear["winner"]) == ("x", None)
    assert verdict(unclear, "replicate") == "no winner: x leads, but not clearly over y"


def test_a_lead_of_rounding_alone_wins_nothing() -> None:
    """0.8 − (0.7 + 0.8 + 0.9) / 3 is 2e-16."""
    means = {"x": [0.8] * 3, "y": [(0.7 + 0.8 + 0.9) / 3 - 2e-16] * 3}
    found = ranking(means, "replicate")
    assert found["leader"] == "x"
    assert found["winner"] is None
    assert verdict(found, "replicate") == "no winner: x leads, but not clearly over y"


def test_other_splits_of_the_same_rows_widen_an_interval() -> None:
    """By √(1 + R·n_test/n_train): 17 % for three runs and an eighth, 27 % for five."""
    for runs, wider in ((3, 1.1726), (5, 1.2748)):
        values = [0.5 + 0.01 * i for i in range(runs)]
        own, shared = over_runs(values), over_runs(values, resplit=0.125)
        assert own and shared
        halves = [found["ci95"][1] - found["mean"] for found in (own, shared)]
        assert halves[1] / halves[0] == pytest.approx(wider, abs=1e-4)
        assert own | {"ci95": None} == shared | {"ci95": None}
    found = ranking({"x": [0.6, 0.62, 0.61], "y": [0.5, 0.5, 0.55]}, "replicate", resplit=2)
    assert (found["leader"], found["winner"]) == ("x", None)


def test_differences_to_the_references_are_paired() -> None:
    found = ranking({"erm": [0.1, 0.3], "x": [0.5, 0.4]})
    assert found["minus_erm"].keys() == {"x"}
    assert found["minus_erm"]["x"]["per_seed"] == pytest.approx([0.4, 0.1])
    assert found["minus_groupdro"] is None


def test_a_ceiling_is_shown_and_leads_nothing() -> None:
    values = {"perfect": [0.9, 0.9, 0.9], "x": [0.5, 0.6, 0.5], "erm": [0.1, 0.1, 0.1]}
    assert ranking(values)["winner"] == "perfect"
    found = ranking(values, ceilings=["perfect"])
    assert (found["leader"], found["winner"], found["leader_minus"].keys()) == ("x", "x", {"erm"})
    assert found["minus_erm"].keys() == {"perfect", "x"}
    assert aside(found, values) == "ceilings, not ranked: perfect"
    both = {"perfect": [0.9, 0.9, 0.9], "other": [0.8, 0.8, 0.8]}
    alone = ranking(both, ceilings=list(both))
    assert (alone["leader"], alone["winner"], aside(alone, both)) == ("perfect", None, "")
    assert verdict(alone) == "no winner is named: these methods only show what could be had"


def test_shared_rows_widen_differences_to_the_references() -> None:
    found = ranking({"erm": [0.5, 0.5, 0.55], "x": [0.6, 0.62, 0.61]}, "replicate", resplit=0.125)
    assert found["minus_erm"]["x"]["ci95"] == pytest.approx(student([0.1, 0.12, 0.06], DIFFERENCE, 0.125))
