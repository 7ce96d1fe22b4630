"""`fairgen estimate`: jobs, time, GPU hours, images and disk of a target, before anything runs.

Jobs come from snakemake's dry run, times and sizes from earlier jobs of the same data set where there are any: run one
ratio or one seed first, and the rest is known.
"""

import re
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import yaml

from fairgen.config import block, comparison, dataset_block, expanded, merged
from fairgen.errors import FairgenError
from fairgen.timing import megabytes_known, seconds_known

ON_GPU = ("embed", "prior", "adapt", "adapt_shared", "sample", "score", "pretrain", "finetune")


@dataclass(frozen=True)
class Cost:
    """What one rule costs; None where no job of it has run yet."""

    rule: str
    jobs: int
    seconds: float | None  # of all jobs together
    megabytes: float | None


def arguments(parser: ArgumentParser) -> None:
    """The subcommand's command line."""
    parser.add_argument("target", type=Path, help="for example results/utkface/worst_group.json")
    parser.add_argument("--configfile", type=Path, help="a config file to merge over config.yaml")


def planned(target: Path, configfile: Path | None) -> dict[str, int]:
    """Jobs by rule that snakemake would run.

    Raises:
        FairgenError: snakemake refuses; its own line stands above.
    """
    extra = ["--configfile", str(configfile)] if configfile else []
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--dry-run", *extra, "--", str(target)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(done.stderr.strip(), file=sys.stderr)
        raise FairgenError(f"{target} cannot be planned; what is wrong stands above")
    found = re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.M)
    return {rule: int(count) for rule, count in found if rule not in ("total", "job")}


def costs(jobs: dict[str, int], seconds: dict[str, list[float]], megabytes: dict[str, list[float]]) -> list[Cost]:
    """Jobs times the mean of earlier jobs of their rule."""
    found = []
    for rule, count in jobs.items():
        known, sizes = seconds.get(rule), megabytes.get(rule, [0.0])
        found.append(Cost(rule, count, count * mean(known) if known else None, count * mean(sizes) if sizes else None))
    return found


def report(found: list[Cost], gpus: int, images: int) -> str:
    """The table with its sums; what is not known is named, not guessed."""

    def text(value: float | None, form: str) -> str:
        return "?" if value is None else f"{value:{form}}"

    lines = [f"{'rule':<14}{'jobs':>7}{'hours':>9}{'MB':>10}"]
    for cost in sorted(found, key=lambda c: -(c.seconds or 0)):
        hours = None if cost.seconds is None else cost.seconds / 3600
        lines.append(f"{cost.rule:<14}{cost.jobs:>7}{text(hours, '.2f'):>9}{text(cost.megabytes, '.0f'):>10}")
    hours = sum(cost.seconds or 0 for cost in found) / 3600
    gpu = sum(cost.seconds or 0 for cost in found if cost.rule in ON_GPU) / 3600 * gpus
    disk = sum(cost.megabytes or 0 for cost in found)
    lines += [f"{'together':<14}{sum(c.jobs for c in found):>7}{hours:>9.2f}{disk:>10.0f}", f"GPU hours: {gpu:.2f}"]
    lines += [f"synthetic images to draw: {images}"]
    unknown = [cost.rule for cost in found if cost.seconds is None]
    if unknown:
        lines.append(f"not counted, for no job of theirs has run on this data set: {', '.join(unknown)}")
    return "\n".join(lines)


def run(options: Namespace) -> None:
    """Print the estimate.

    Raises:
        FairgenError: the target is no artifact of a data set, or snakemake refuses it.
    """
    parts = options.target.parts
    if len(parts) < 3 or parts[0] != "results":
        raise FairgenError(f"{options.target}: give a file below results/<data set>, for example results/birds/worst_group.json")
    config = yaml.safe_load(Path("config.yaml").read_text())
    if options.configfile:
        config = merged(config, yaml.safe_load(options.configfile.read_text()))
    config, dataset = expanded(config), parts[1]
    data, jobs = dataset_block(config, dataset), planned(options.target, options.configfile)
    if not jobs:
        print("Nothing to be done.")
        return
    found = costs(jobs, seconds_known(Path("results/benchmarks", dataset)), megabytes_known(Path("results", dataset)))
    most = max(block(config, dataset, method, "sample")["per_group"] for method in comparison(config, dataset)["compare"])
    print(report(found, data["gpu"], jobs.get("sample", 0) * most))
