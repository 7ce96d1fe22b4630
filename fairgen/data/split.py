"""Stage `split`: the biased training subset of one bias ratio, the validation and the test rows, and those of
`shift`, a second test set, where the data have one.

At ratio r, in (0, 1), every bias-conflicting group of a class is cut to n_aligned · (1 − r) / r images,
divided by the number of those groups. Subsets of different ratios are nested. Validation is cut likewise but
never below a floor; test rows are not. The ratio `natural` keeps every image. The scope `any` has what no
ratio cuts: training and validation rows of the aligned groups.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from fairgen.core import job, parquet
from fairgen.core.errors import FairgenError
from fairgen.data import beside
from fairgen.data.subset import ANY, SPLITS, cut


@dataclass(frozen=True)
class GroupRole:
    """A group's class and whether the bias attribute agrees with it."""

    target: str
    role: str  # aligned | conflicting


@dataclass(frozen=True)
class Split:
    """Which rows are kept; the scope `any` cuts nothing, and has groups alone."""

    groups: dict[str, GroupRole]
    validation_floor: int = 0  # images per group below which validation is never cut
    seed: int = 0


@dataclass(frozen=True)
class Files(job.Files):
    """What a job reads and writes."""

    index: job.Input
    scope: job.Value
    split: job.Output


def quotas(counts: Counter, groups: dict[str, GroupRole], ratio: float | None) -> dict[str, int]:
    """Images to keep per conflicting group; no quota without a ratio."""
    kept: dict[str, int] = {}
    if ratio is None:
        return kept
    for target in classes(groups):
        conflicting = [n for n, g in groups.items() if g.target == target and g.role == "conflicting"]
        aligned = sum(counts[n] for n, g in groups.items() if g.target == target and g.role == "aligned")
        for name in conflicting:
            kept[name] = int(aligned * (1 - ratio) / ratio / len(conflicting) + 0.5)
    return kept


def classes(groups: dict[str, GroupRole]) -> list[str]:
    """The classes in the order of their groups, which unlike a set's is the same in every process."""
    return list(dict.fromkeys(g.target for g in groups.values()))


def uncut(groups: dict[str, GroupRole]) -> list[str]:
    """The classes that no bias ratio cuts, since none of their groups is conflicting."""
    cut = {g.target for g in groups.values() if g.role == "conflicting"}
    return [target for target in classes(groups) if target not in cut]


def ratio_of(scope: str) -> float | None:
    """The bias ratio in a scope's name, `bias-0.99`; None for `bias-natural` and `any`, which cut nothing."""
    return None if scope in (ANY, "bias-natural") else float(scope.removeprefix("bias-"))


def of_any(rows: list[dict[str, Any]], groups: dict[str, GroupRole]) -> list[dict[str, Any]]:
    """The rows that are the same at every ratio and from which generators are made."""
    whole = {name for name, group in groups.items() if group.role == "aligned"}
    return [r for r in rows if r["group"] in whole and r["split"] in ("train", "validation")]


def check_counts(counts: dict[str, dict[str, int]]) -> None:
    """There are validation rows to choose weights by, and test rows to report.

    Raises:
        FairgenError: there are none.
    """
    if not any(counts["validation"].values()):
        raise FairgenError(
            "no validation image is left, and weights are chosen by them; give index.fractions a larger"
            " share for validation, the data set's own split some validation rows, or the groups more"
            " images; large sets of near-identical images stay together (index.near)"
        )
    if not any(counts["test"].values()):
        raise FairgenError(
            "no test image is left, and nothing could be reported; give index.fractions a larger share for"
            " test, the data set's own split some test rows, or the groups more images; large sets of"
            " near-identical images stay together (index.near)"
        )


def work(settings: Split, files: Files) -> None:
    """Write the rows of one scope with the counts per split and group."""
    # each split is cut to the ratio; test rows are never cut
    rows, ratio = parquet.rows(files.index), ratio_of(files.scope)
    if files.scope == ANY:
        rows = of_any(rows, settings.groups)
    result, counts, short = [], {}, []
    for split in SPLITS:
        part = [r for r in rows if r["split"] == split]
        available = Counter(r["group"] for r in part)
        quota = {} if split in ("test", "shift") else quotas(available, settings.groups, ratio)
        if split == "validation":
            quota = {g: max(n, settings.validation_floor) for g, n in quota.items()}
        short += [f"{split} {g}: {available[g]} of {n}" for g, n in quota.items() if available[g] < n]
        kept = cut(part, quota, settings.seed)
        counts[split] = dict(Counter(r["group"] for r in kept))
        result += kept
    for name, group in settings.groups.items():
        # an aligned group is what its donor's generators and the ratio stand on
        if group.role == "aligned" and not counts["train"].get(name):
            raise FairgenError(
                f"group {name} has no training image; an aligned group needs some: check the data set's split"
            )
    # without validation or test rows no weights could be chosen, or nothing be reported
    if files.scope != ANY:
        check_counts(counts)
    # what could not be cut as asked is told
    for line in short:
        job.log.warning("fewer images than ratio %s asks for, all are kept: %s", ratio, line)
    whole = [] if ratio is None else uncut(settings.groups)
    for target in whole:
        job.log.warning("class %s has no conflicting group: ratio %s leaves all its images", target, ratio)
    own = ("id", "path", "target", "bias", "group", "split", "detail", "hash")
    keep = [*own, *(name for name in beside.COLUMNS if name in rows[0])]
    facts = {
        "root": parquet.facts(files.index)["root"],
        "ratio": ratio,
        "counts": counts,
        "short": short,
        "uncut": whole,
    }
    parquet.write(files.split, pa.Table.from_pylist([{k: r[k] for k in keep} for r in result]), facts)


if __name__ == "__main__":
    job.main(work, Split, Files)
