"""95 % intervals: of an accuracy over test rows, of its minimum over groups, and of a mean over repeated
runs.

Also what is said of repeated runs (seeds or replicates): mean, deviation, interval, paired differences,
leader. Intervals are cut to the range that the figure can have, and fewer than three runs have none.
"""

from collections.abc import Collection, Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
REFERENCES = ("erm", "groupdro")  # methods that every other one is compared with
FEWEST = 3  # runs with an interval: the t quantile of two is 12.7, and says nothing of a share
SHARE, DIFFERENCE = (0.0, 1.0), (-1.0, 1.0)  # what an accuracy, and the difference of two, can be
EXACT = 1e-9  # what is smaller is rounding: accuracies are shares of a few hundred rows


def wilson(right: int, n: int) -> list[float]:
    """Wilson's score interval of the proportion `right / n` (Wilson 1927, doi
    10.1080/01621459.1927.10502953).
    """
    found = stats.binomtest(right, n).proportion_ci(CONFIDENCE, method="wilson")
    return [float(found.low), float(found.high)]


def wilson_minimum(right: list[int], n: list[int]) -> list[float]:
    """Interval of the smallest of the true accuracies of G groups, nominal 1 − α = 95 % whether they are
    alike or not.

    Lower end: the smallest lower Wilson bound, each one-sided at α/2. It lies above the smallest accuracy
    only if the bound of the group that has it does, whatever the others do, so it needs no correction. Upper
    end: the smallest upper bound, each one-sided at α/(2G), for it lies below as soon as one of the G bounds
    does (Bonferroni). With the levels the other way round four groups that are alike are covered at 0.90, by
    a bootstrap of the minimum at 0.63.

    The bounds are Wilson's with continuity correction (Newcombe 1998, method 4), as plain ones are too narrow
    near 1: of two groups with 50 rows and accuracy 0.95 they cover the smallest at 0.93, corrected ones at
    0.98.

    Args:
        right: rows of each group that are right.
        n: rows of each group, none of them 0.
    """
    alpha = 1 - CONFIDENCE
    low = min(wilson_bound(k, m, "greater", alpha / 2) for k, m in zip(right, n, strict=True))
    return [low, min(wilson_bound(k, m, "less", alpha / (2 * len(n))) for k, m in zip(right, n, strict=True))]


@cache
def wilson_bound(right: int, n: int, side: str, level: float) -> float:
    """The lower (`greater`) or upper (`less`) bound of `right / n` with continuity correction, one-sided at a
    level.
    """
    found = stats.binomtest(right, n, alternative=side).proportion_ci(1 - level, method="wilsoncc")
    return float(found.low if side == "greater" else found.high)


def student(
    values: list[float], within: tuple[float, float] = SHARE, resplit: float = 0.0
) -> list[float] | None:
    """Two-sided Student-t interval of the mean (Student 1908), cut to a range; None for fewer than three
    values.

    Args:
        values: one of each run.
        within: the range that the figure can have.
        resplit: test rows for each training row, where runs are other random splits of the same rows. They
            are no independent runs then, and the variance of their mean is larger by that share of theirs
            (Nadeau and Bengio 2003, doi 10.1023/A:1024068626366).
    """
    if len(values) < FEWEST:
        return None
    error = np.std(values, ddof=1) * (1 / len(values) + resplit) ** 0.5
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * error
    return [max(float(np.mean(values) - half), within[0]), min(float(np.mean(values) + half), within[1])]


def over_runs(
    values: Sequence[float | None],
    run: str = "seed",
    within: tuple[float, float] = SHARE,
    resplit: float = 0.0,
) -> dict[str, Any] | None:
    """Mean, standard deviation (n − 1), interval and the values themselves; None if one of them is undefined.

    Args:
        values: one of each run.
        run: what a run is, `seed` or `replicate`.
        within: the range that the figure can have.
        resplit: see `student`.
    """
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    sd = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return {
        "mean": float(np.mean(known)),
        "sd": sd,
        "ci95": student(known, within, resplit),
        f"per_{run}": known,
    }


def shown(figure: dict[str, Any]) -> str:
    """A figure's interval as text, or n/a."""
    return f"{figure['ci95'][0]:.3f} – {figure['ci95'][1]:.3f}" if figure["ci95"] else "n/a"


def clear(difference: dict[str, Any]) -> bool:
    """Whether a paired difference is above zero by its whole interval."""
    return difference["ci95"] is not None and difference["ci95"][0] > EXACT


def differences(
    values: dict[str, list[float]], to: str, sign: int = 1, run: str = "seed", resplit: float = 0.0
) -> dict[str, Any]:
    """Every other method minus the method `to`, paired run by run; `sign` −1 turns the differences around."""
    others = {name: zip(own, values[to], strict=True) for name, own in values.items() if name != to}
    return {
        name: over_runs([sign * (a - b) for a, b in pairs], run, DIFFERENCE, resplit)
        for name, pairs in others.items()
    }


def ranking(
    values: dict[str, list[float]],
    run: str = "seed",
    ceilings: Collection[str] = (),
    resplit: float = 0.0,
) -> dict[str, Any]:
    """The leader by mean, its paired differences, whether it wins against every other, and what beats the
    references.

    Args:
        values: worst-group accuracy of each method, run by run in one order.
        run: what a run is, `seed` or `replicate`.
        ceilings: methods that neither lead nor are led by another, unless there is no other one.
        resplit: see `student`.
    """
    judged = {name: own for name, own in values.items() if name not in ceilings}
    ranked = judged or values
    leader = max(ranked, key=lambda name: np.mean(ranked[name]))
    ahead = differences(ranked, leader, -1, run, resplit)
    winner = leader if judged and ahead and all(map(clear, ahead.values())) else None
    minus = {
        f"minus_{name}": differences(values, name, 1, run, resplit) if name in values else None
        for name in REFERENCES
    }
    return {"leader": leader, "winner": winner, "leader_minus": ahead, **minus}


def unranked(found: dict[str, Any], methods: Iterable[str]) -> list[str]:
    """The methods that a ranking leaves aside, which are ceilings."""
    return [name for name in methods if name not in (found["leader"], *found["leader_minus"])]


def aside(found: dict[str, Any], methods: Iterable[str]) -> str:
    """The same as a sentence; "" if there are none."""
    ceilings = unranked(found, methods)
    return f"ceilings, not ranked: {', '.join(ceilings)}" if ceilings else ""


def verdict(found: dict[str, Any], run: str = "seed", trial: bool = False) -> str:
    """A ranking in one sentence: the winner, who is too close to the leader, or that there are too few runs
    to tell. Seeds vary the classifier alone, so by them no method wins, it is ahead on this chain; of a trial
    (`results.trial`) no winner is named whatever its figures are.
    """
    if trial:
        return "no winner is named: this is a trial on fairgen's embedded model"
    leader, minus = found["leader"], found["leader_minus"]
    if not minus:
        return f"no winner is named: no other method is ranked beside {leader}"
    if found["winner"]:
        above = f"its paired 95 % interval over {run}s is above zero against every other method"
        if run == "seed":
            return f"{leader} is ahead on this chain: {above}; whether it wins, replicates say"
        return f"{leader} wins: {above}"
    runs = len(next(iter(minus.values()))[f"per_{run}"])
    if runs < FEWEST:
        there = "there is one" if runs == 1 else f"there are {runs}"
        return f"no winner is named: intervals need at least three {run}s, {there}"
    close = [name for name, difference in minus.items() if not clear(difference)]
    if not close:
        return "no winner is named: these methods only show what could be had"
    return f"no winner: {leader} leads, but not clearly over {', '.join(close)}"


def said(found: dict[str, Any], methods: Iterable[str], run: str = "seed", trial: bool = False) -> list[str]:
    """The verdict, and what the ranking leaves aside, a line each."""
    return [line for line in (verdict(found, run, trial), aside(found, methods)) if line]
