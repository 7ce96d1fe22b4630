"""The paper's claims (arXiv 2511.08711), read as statements about worst-group accuracy and judged by paired
95 % intervals over replicates (other splits, generators and classifiers), never over classifier seeds alone:

1. Finetuned generators beat the base by prompt on average: the mean over some methods minus `vanilla` is
   above 0.
2. Comparable with Group-DRO: a method of ours minus `groupdro` is above −margin.
3. Ahead of Group-DRO as bias grows: that difference is above 0 at the largest ratio, and larger than at
   the least; both have to hold, and with one ratio nothing can be said of the growth.

A claim is held if its whole interval is above the bound, not held if none of it is, else undecided. Every row
is judged by itself: among many of them some will be wrong by chance.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fairgen.core.errors import FairgenError
from fairgen.evaluate import intervals, results

NATURAL = "natural"  # the ratio of data that are not cut
Runs = dict[str, dict[str, np.ndarray]]  # ratio → method → worst-group accuracy, replicate by replicate
GAIN, LEVEL, AHEAD = "finetuned above vanilla", "comparable with groupdro", "ahead of groupdro"
FINETUNED, OURS, MARGIN = ("lora", "dreambooth", "clustered"), "clustered", 0.05  # unless told otherwise
ONE_RATIO = "one bias ratio: whether the lead grows with the bias, the other half of claim 3, is not judged"
NO_RATIO = "no bias ratio is a number: claim 3, about how the lead changes with it, is not judged"
RESPLIT = "the replicates draw on the same images: they share rows, and intervals are wider for it"


@dataclass(frozen=True)
class Judgement:
    """A claim at a ratio: the mean difference with its interval, what it has to be above, and the verdict."""

    claim: str
    ratio: str
    mean: float
    low: float
    high: float
    bound: float
    verdict: str


def judged(
    claim: str,
    ratio: str,
    difference: np.ndarray,
    bound: float = 0.0,
    resplit: float = 0.0,
    within: tuple[float, float] = intervals.DIFFERENCE,
) -> Judgement:
    """Judge paired differences (replicates,) against a bound; `resplit` as for `intervals.student`."""
    low, high = intervals.student(difference.tolist(), within, resplit) or within
    over = bound + intervals.EXACT
    verdict = "held" if low > over else "not held" if high <= over else "undecided"
    return Judgement(claim, ratio, float(difference.mean()), low, high, bound, verdict)


def judge(
    runs: Runs, finetuned: list[str], ours: str, margin: float, resplit: float = 0.0
) -> list[Judgement]:
    """All claims whose methods are there: at each ratio, and over ratios where there are several; ratios come
    smallest first, before them `natural`, which knows no growth.

    Raises:
        FairgenError: a method would be compared with itself or counted twice, or the margin is none.
    """
    if not 0 <= margin < 1:
        raise FairgenError(f"margin {margin} is no difference of accuracies; give one from 0 to below 1")
    if ours == "groupdro":
        raise FairgenError("ours groupdro would be compared with itself; name another method")
    if "vanilla" in finetuned or len(set(finetuned)) < len(finetuned) or not finetuned:
        raise FairgenError(
            f"finetuned {' '.join(finetuned)}: name each method once, and not vanilla, which they are"
            " compared with"
        )
    one, numbers = next(iter(runs.values())), [ratio for ratio in runs if ratio != NATURAL]
    verdict, found = partial(judged, resplit=resplit), []
    if {"vanilla", *finetuned} <= one.keys():
        gains = {r: np.mean([m[name] for name in finetuned], axis=0) - m["vanilla"] for r, m in runs.items()}
        found += [verdict(f"1. {GAIN}", ratio, gain) for ratio, gain in gains.items()]
        if len(runs) > 1:
            found.append(verdict(f"1. {GAIN}", "mean", np.mean(list(gains.values()), axis=0)))
    if {ours, "groupdro"} <= one.keys():
        leads = {r: m[ours] - m["groupdro"] for r, m in runs.items()}
        found += [verdict(f"2. {ours} {LEVEL}", r, lead, -margin) for r, lead in leads.items()]
        if numbers:
            first, last = numbers[0], numbers[-1]
            found.append(verdict(f"3. {ours} {AHEAD}", last, leads[last]))
        if len(numbers) > 1:
            name, growth = f"3. {ours} {AHEAD}, growing", leads[last] - leads[first]
            found.append(verdict(name, f"{last} − {first}", growth, within=(-2.0, 2.0)))
    return found


def runs_of(document: dict[str, Any], methods: Iterable[str], path: Path) -> Runs:
    """Worst-group accuracies of some methods at every ratio, smallest first, before them `natural`.

    Raises:
        FairgenError: a method is not in the table or a ceiling, or it is a trial.
    """
    if document.get("trial"):
        raise FairgenError(f"{path}: {document['trial']}")
    found: Runs = {}
    for ratio in results.in_order(document["results"]):
        there = document["results"][ratio]
        if absent := [name for name in methods if name not in there]:
            raise FairgenError(
                f"{path}: no {', '.join(absent)} among the methods that it compares ({', '.join(there)}); add"
                " to compare in the config, or name others with --finetuned and --ours"
            )
        ceilings = intervals.unranked(document["comparisons"][ratio], there)
        if above := [name for name in methods if name in ceilings]:
            raise FairgenError(
                f"{path}: {', '.join(above)} only shows what could be had (ceiling: true), and no claim is"
                " about it; name another method"
            )
        found[ratio] = {m: np.array(there[m]["worst_group_accuracy"]["per_replicate"]) for m in methods}
    return found


def notes(document: dict[str, Any], ratios: Iterable[str]) -> list[str]:
    """What has to be known beside the figures: the groups without rows at some ratios, and replicates with
    the same test rows.
    """
    none: dict[str, list[str]] = {split: [] for split in results.MISSING}
    empty = {ratio: none | document.get("empty_groups", {}).get(ratio, {}) for ratio in ratios}
    found = [f"bias ratio {ratio}, {line}" for ratio in empty for line in results.missing(empty[ratio])]
    found += [f"{' and '.join(pair)} have the same test rows" for pair in document.get("same_rows", [])]
    return found + ([RESPLIT] if document.get("resplit") else [])


def beside(document: dict[str, Any], runs: Runs, found: list[Judgement]) -> list[str]:
    """What has to be known beside the claims that were judged: the same, and that one ratio judges half of
    the third, and none nothing of it.
    """
    asked, numbers = any(row.claim.startswith("2.") for row in found), runs.keys() - {NATURAL}
    few = {0: NO_RATIO, 1: ONE_RATIO}.get(len(numbers)) if asked else None
    return notes(document, runs) + ([few] if few else [])
