"""95 % intervals: of an accuracy over test rows, of its minimum over groups, and of a mean over repeated runs.

Also what is said of repeated runs (seeds or replicates): mean, deviation, interval, paired differences, leader.
"""

from typing import Any

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
REFERENCES = ("erm", "groupdro")  # methods that every other one is compared with


def wilson(right: int, n: int) -> list[float]:
    """Wilson's score interval of the proportion `right / n` (Wilson 1927, doi 10.1080/01621459.1927.10502953)."""
    found = stats.binomtest(right, n).proportion_ci(CONFIDENCE, method="wilson")
    return [float(found.low), float(found.high)]


def bootstrap_minimum(right: np.ndarray, n: np.ndarray, resamples: int = 10_000, seed: int = 0) -> list[float]:
    """Percentile bootstrap interval of the smallest group accuracy (Efron & Tibshirani 1993, section 13.3).

    Rows are drawn with replacement inside each group, and the worst group is taken anew in every resample. Of n outcomes
    drawn so, Binomial(n, right / n) are right, so the counts are drawn instead of the rows. The smallest of several noisy
    accuracies tends to be too small: where groups are close, the interval lies below the estimate.

    Args:
        right: (groups,) rows that are right.
        n: (groups,) rows, none of them 0.
        resamples: how many.
        seed: of the draws.
    """
    drawn = np.random.default_rng(seed).binomial(n, right / n, (resamples, len(n))) / n
    return np.quantile(drawn.min(axis=1), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]).tolist()


def student(values: list[float]) -> list[float] | None:
    """Two-sided Student-t interval of the mean (Student 1908); None for a single value."""
    if len(values) < 2:
        return None
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    return [float(np.mean(values) - half), float(np.mean(values) + half)]


def over_runs(values: list[float | None], run: str = "seed") -> dict[str, Any] | None:
    """Mean, standard deviation (n − 1), interval and the values themselves; None if one of them is undefined."""
    if None in values:
        return None
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "sd": sd, "ci95": student(values), f"per_{run}": values}


def differences(values: dict[str, list[float]], to: str, sign: int = 1, run: str = "seed") -> dict[str, Any]:
    """Every other method minus the method `to`, paired run by run; `sign` −1 turns the differences around."""
    return {
        name: over_runs([sign * (a - b) for a, b in zip(own, values[to], strict=True)], run)
        for name, own in values.items()
        if name != to
    }


def ranking(values: dict[str, list[float]], run: str = "seed") -> dict[str, Any]:
    """The leader by mean, its paired differences, whether it wins against every other, and what beats the references.

    Args:
        values: worst-group accuracy of each method, run by run in one order.
        run: what a run is, `seed` or `replicate`.
    """
    leader = max(values, key=lambda name: np.mean(values[name]))
    ahead = differences(values, leader, -1, run)
    wins = bool(ahead) and all(d["ci95"] is not None and d["ci95"][0] > 0 for d in ahead.values())
    minus = {f"minus_{name}": differences(values, name, run=run) if name in values else None for name in REFERENCES}
    return {"leader": leader, "winner": leader if wins else None, "leader_minus": ahead, **minus}


def verdict(found: dict[str, Any], run: str = "seed") -> str:
    """A ranking in one sentence: the winner, or who is too close to the leader."""
    if found["winner"]:
        return f"{found['winner']} wins: its paired 95 % interval over {run}s is above zero against every other method"
    close = [n for n, d in found["leader_minus"].items() if not d["ci95"] or d["ci95"][0] <= 0]
    return f"no winner: {found['leader']} leads, but not clearly over {', '.join(close) or 'any other'}"
