"""What finished jobs have cost: run times from snakemake's benchmark files, and the sizes of what they wrote.

A time says something about a job to come only if that job does the same work: its settings, but for those
that cost no time, and the data must be the same. What an artifact was made with stands in its lineage.
"""

import csv
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairgen.core import records
from fairgen.core.settings import canonical

# rules whose files have a folder
FOLDERS = {
    "adapters": "adapt",
    "samples": "sample",
    "prior": "prior",
    "pretrain": "pretrain",
    "pixels": "decode",
}

OF_GROUPS = ("adapters", "samples", "prior")  # those of them with a file or a folder for each group

# settings that change what comes out, not how long it takes
FREE = (
    *(
        "seed",
        "prompts",
        "prompt",
        "negative_prompt",
        "token",
        "donors",
        "lr",
        "weight_decay",
        "optimizer",
        "min_snr",
        "weighting",
        "shift",
        "crop",
        "captions",
        "caption",
        "box",
        "offset_noise",
    ),
    *(
        "schedule",
        "warmup",
        "supcon",
        "temperature",
        "alpha",
        "threshold",
        "conflicts",
        "copies",
        "step_size",
    ),
    *("adjustment", "upweight", "select", "weights", "role", "revision", "max_rejected"),
)


@dataclass(frozen=True)
class Past:
    """A finished job: what its artifact was made with, its wall-clock seconds, and the size of what it
    wrote.
    """

    settings: dict[str, Any]
    seconds: float
    megabytes: float


def rule_of(path: Path) -> str:
    """The rule that wrote a benchmark file, given relative to its data set's folder."""
    if path.parent.name == "adapters":  # one file for a whole group
        return "adapt_shared"
    return next((FOLDERS[part] for part in path.parts[:-1] if part in FOLDERS), path.stem)


def settings_of(artifact: Path) -> dict[str, Any] | None:
    """The settings that an artifact was made with; None if it does not say."""
    return (records.read(artifact) or {}).get("settings")


def past(benchmarks: Path, results: Path) -> dict[str, list[Past]]:
    """Finished jobs of a data set by rule, those whose artifact is there and says what it was made with.

    Args:
        benchmarks: the data set's folder of benchmark files.
        results: its folder of results, with the same relative paths.
    """
    found = defaultdict(list)
    for path in sorted(benchmarks.rglob("*.tsv")):
        place, seconds = path.relative_to(benchmarks), _seconds(path)
        files = artifacts(results, place)
        settings = next((s for file in files if (s := settings_of(file))), None)
        if seconds and settings and all(file.stat().st_mtime <= path.stat().st_mtime + 60 for file in files):
            size = sum(file.stat().st_size for file in files) / 1e6
            rule = rule_of(place)
            settings |= {"resolution": int(place.stem)} if rule == "decode" else {}  # its wildcard
            found[rule].append(Past(settings, seconds[-1], size))
    return dict(found)


def artifacts(results: Path, benchmark: Path) -> list[Path]:
    """What a job wrote, by the relative path of its benchmark file."""
    own = {
        "draw": "drawings",
        "embed": "embeddings",
        "cluster": "clusters",
        "score": "scores",
        "score_second": "scores_second",
        "filter": "selection",
    }
    names = {
        "finetune": ("model.safetensors", "predictions.parquet"),
        "index": ("index.parquet", "rejects.parquet"),
    }
    folder, stem = results / benchmark.parent, benchmark.stem
    if stem in names:
        return [folder / name for name in names[stem] if (folder / name).is_file()]
    return [
        path
        for path in sorted(folder.glob(f"{own.get(stem, stem)}.*"))
        if path.suffix in (".parquet", ".safetensors", ".json")
    ]


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
    """The jobs of a comparison: by the methods, the bias ratios as folders are called, the seeds and the
    groups that are its own. Ablations and replicates are other comparisons.
    """

    methods: list[str]
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
        parts = benchmark.with_suffix("").parts
        folder = next((i for i, part in enumerate(parts[:-1]) if part in OF_GROUPS), None)
        if folder is not None:
            return parts[folder + 1] in self.groups
        seed = next((part for part in parts if part.startswith("seed-")), None)
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


def work_of(settings: dict[str, Any]) -> str:
    """What of the settings costs time, as text to compare."""
    return canonical(_costly(settings))


def _costly(value: Any) -> Any:
    return {k: _costly(v) for k, v in value.items() if k not in FREE} if isinstance(value, dict) else value


def _seconds(path: Path) -> list[float]:
    return [row["s"] for row in measured(path)]
