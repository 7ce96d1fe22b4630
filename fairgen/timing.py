"""What finished jobs have cost: run times from snakemake's benchmark files, and the sizes of what they wrote."""

import csv
from collections import defaultdict
from pathlib import Path

# rules whose files have a folder
FOLDERS = {"adapters": "adapt", "samples": "sample", "prior": "prior", "pretrain": "pretrain", "pixels": "decode"}

ARTIFACTS = {  # rules whose outputs fill disks, with what they write below results/{dataset}
    "decode": "pixels/*.safetensors",
    "prior": "prior/*.parquet",
    "adapt": "*/*/adapters/*/*.safetensors",
    "adapt_shared": "*/*/adapters/*.safetensors",
    "sample": "*/*/samples/*.parquet",
    "pretrain": "*/*/pretrain/*.safetensors",
    "finetune": "*/*/seed-*/model.safetensors",
}


def rule_of(path: Path) -> str:
    """The rule that wrote a benchmark file, given relative to its data set's folder."""
    if path.parent.name == "adapters":  # one file for a whole group
        return "adapt_shared"
    return next((FOLDERS[part] for part in path.parts[:-1] if part in FOLDERS), path.stem)


def seconds_known(folder: Path) -> dict[str, list[float]]:
    """Wall-clock seconds of earlier jobs by rule, below a data set's folder of benchmark files."""
    found = defaultdict(list)
    for path in sorted(folder.rglob("*.tsv")):
        with path.open() as file:
            found[rule_of(path.relative_to(folder))] += [float(row["s"]) for row in csv.DictReader(file, delimiter="\t")]
    return dict(found)


def megabytes_known(results: Path) -> dict[str, list[float]]:
    """Sizes of what earlier jobs wrote, by rule, below a data set's folder of results; of rules that write much."""
    return {rule: [path.stat().st_size / 1e6 for path in results.glob(pattern)] for rule, pattern in ARTIFACTS.items()}
