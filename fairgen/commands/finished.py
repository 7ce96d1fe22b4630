"""What finished jobs have cost: run times from snakemake's benchmark files, and the sizes of what they wrote.

A time says something about a job to come only if that job does the same work: its settings, but for those
that cost no time, and the data must be the same. What an artifact was made with stands in its lineage.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairgen.core import parquet, records
from fairgen.core.errors import FairgenError
from fairgen.core.settings import canonical
from fairgen.models import adapters
from fairgen.report.costs import group_of, measured, place_of, rule_of

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
COUNTED = ("companions",)  # of which only how many there are costs time


@dataclass(frozen=True)
class Past:
    """A finished job: what its artifact was made with, its wall-clock seconds, and the size of what it wrote;
    its scope and group, and whether the group borrowed its donor's generators.
    """

    settings: dict[str, Any]
    seconds: float
    megabytes: float
    of: tuple[str, str] = ("", "")
    borrowed: bool = False


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
        place, seconds = path.relative_to(benchmarks), [row["s"] for row in measured(path)]
        files = artifacts(results, place)
        settings = next((s for file in files if (s := settings_of(file))), None)
        if seconds and settings and all(file.stat().st_mtime <= path.stat().st_mtime + 60 for file in files):
            size = sum(file.stat().st_size for file in files) / 1e6
            rule = rule_of(place)
            settings |= {"resolution": int(place.stem)} if rule == "decode" else {}  # its wildcard
            of = place_of(place)[0], group_of(place)
            found[rule].append(Past(settings, seconds[-1], size, of, borrowed(rule, files)))
    return dict(found)


def borrowed(rule: str, files: list[Path]) -> bool:
    """Whether a job on a group had its donor's generators: nothing was trained, or they drew its images. A
    file that cannot be read says nothing.
    """
    own = next((file for file in files if file.suffix in (".parquet", ".safetensors")), None)
    try:
        if own and rule == "sample":
            return bool(parquet.facts(own).get("borrowed_from"))
        if own and rule.startswith("adapt"):
            return adapters.read_facts(own).get("images") == 0
    except FairgenError:
        pass
    return False


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


def work_of(settings: dict[str, Any]) -> str:
    """What of the settings costs time, as text to compare."""
    return canonical(_costly(settings))


def _costly(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {k: len(v) if k in COUNTED else _costly(v) for k, v in value.items() if k not in FREE}
