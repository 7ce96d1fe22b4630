"""What the finished jobs of a comparison took, by stage and method, from snakemake's benchmark files."""

import csv
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

# rules whose files have a folder
FOLDERS = {
    "adapters": "adapt",
    "samples": "sample",
    "prior": "prior",
    "pretrain": "pretrain",
    "pixels": "decode",
}

OF_GROUPS = ("adapters", "samples", "prior")  # those of them with a file or a folder for each group


def rule_of(path: Path) -> str:
    """The rule that wrote a benchmark file, given relative to its data set's folder."""
    if path.parent.name == "adapters":  # one file for a whole group
        return "adapt_shared"
    return next((FOLDERS[part] for part in path.parts[:-1] if part in FOLDERS), path.stem)


@dataclass(frozen=True)
class Spent:
    """What the finished jobs of one stage and method took together: wall-clock and processor hours, hours of
    GPUs that were theirs, and the largest resident memory of one in GB; None for what snakemake has not
    measured.
    """

    stage: str
    method: str  # whose folder they wrote into; "" for what all methods share
    jobs: int
    hours: float
    core_hours: float | None
    gpu_hours: float
    memory: float | None


@dataclass(frozen=True)
class Jobs:
    """The jobs of a comparison: by the methods, those of them whose classifiers and whose stage 1 it needs,
    the bias ratios as folders are called, the seeds and the groups that are its own. Ablations and replicates
    are other comparisons.
    """

    methods: list[str]
    trained: list[str]
    pretrained: list[str]
    scopes: list[str]
    seeds: list[int]
    groups: list[str]

    def holds(self, benchmark: Path) -> bool:
        """Whether a job is one of them, by the relative path of its benchmark file."""
        scope, method = place_of(benchmark)
        if benchmark.parts[0] == "ablations" or benchmark.name == "replicates.tsv":
            return False
        if scope and (scope not in self.scopes or method not in ("", *self.methods)):
            return False
        if group := group_of(benchmark):
            return group in self.groups
        parts = benchmark.with_suffix("").parts
        seed = next((part for part in parts if part.startswith("seed-")), None)
        # of a base of theirs, from another comparison
        if seed and method not in (self.pretrained if "pretrain" in parts else self.trained):
            return False
        return seed is None or seed in {f"seed-{own}" for own in self.seeds}


def spent(benchmarks: Path, own: Jobs, computing: list[str], gpus: int) -> list[Spent]:
    """What the finished jobs of a comparison took, by stage and method, the longest first.

    Args:
        benchmarks: the data set's folder of benchmark files.
        own: the jobs that count.
        computing: the stages that use GPUs.
        gpus: that each of their jobs has.
    """
    found: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    for path in sorted(benchmarks.rglob("*.tsv")):
        place = path.relative_to(benchmarks)
        if own.holds(place) and (rows := measured(path)):
            found[rule_of(place), place_of(place)[1]].append(rows[-1])
    listed = [
        Spent(
            stage,
            method,
            len(jobs),
            hours := sum(job["s"] for job in jobs) / 3600,
            _over(sum, jobs, "cpu_time", 3600),
            hours * gpus if stage in computing else 0.0,
            _over(max, jobs, "max_rss", 1024),
        )
        for (stage, method), jobs in found.items()
    ]
    return sorted(listed, key=lambda one: -one.hours)


def place_of(benchmark: Path) -> tuple[str, str]:
    """The scope and the method of a job, by the relative path of its benchmark file; "" for none."""
    scope, *inner = benchmark.parts[:-1] or ("",)
    if scope != "any" and not scope.startswith("bias-"):
        return "", ""
    return scope, inner[0] if inner else ""


def group_of(benchmark: Path) -> str:
    """The group of a job, by the relative path of its benchmark file; "" for none."""
    parts = benchmark.with_suffix("").parts
    return next((own for folder, own in pairwise(parts) if folder in OF_GROUPS), "")


def _over(
    of: Callable[[list[float]], float], jobs: list[dict[str, float]], column: str, unit: float
) -> float | None:
    values = [job[column] for job in jobs if column in job]
    return of(values) / unit if values else None


def measured(path: Path) -> list[dict[str, float]]:
    """The numbers of a benchmark file; of a job that was over in a moment some are not there."""
    with path.open() as file:
        rows = [{k: _number(v) for k, v in row.items()} for row in csv.DictReader(file, delimiter="\t")]
    return [{k: v for k, v in row.items() if v is not None} for row in rows if row.get("s") is not None]


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
