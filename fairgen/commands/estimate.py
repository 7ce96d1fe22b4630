"""`fairgen estimate`: jobs, time, GPU hours, images and disk of a target, before anything runs.

Jobs come from snakemake's dry run. Where a like job of the same data has run, its time and size are taken;
else they are reckoned from reference rates (`rates`). All amounts are ranges, and what is not known is named,
not counted as nothing.
"""

import json
import os
import re
import subprocess
from argparse import ArgumentParser, Namespace
from functools import cache
from itertools import takewhile
from pathlib import Path

from fairgen.commands import measured
from fairgen.commands.cards import PEAK
from fairgen.commands.estimate_screen import machine, report, together
from fairgen.commands.finished import past
from fairgen.commands.measured import Measured
from fairgen.commands.rates import Reference, unrated
from fairgen.commands.reckoning import Job, costs, same_data
from fairgen.core import parquet
from fairgen.core.errors import FairgenError
from fairgen.data.formats.files import PICTURES
from fairgen.data.subset import SPLITS
from fairgen.workflow import config_file, project
from fairgen.workflow.expansion import expanded
from fairgen.workflow.method_chain import Config, dataset_block
from fairgen.workflow.preflight.machine import smi
from fairgen.workflow.stage_settings import settings

JOB = re.compile(r"^(?:local)?rule (\w+):\n((?: {4}.*\n)+)", re.M)


def arguments(parser: ArgumentParser) -> None:
    """The subcommand's command line."""
    parser.add_argument("targets", nargs="+", type=Path, help="for example results/utkface/worst_group.json")
    config_file.add_option(parser)
    parser.add_argument(
        "--card", choices=list(PEAK), help="the GPU that jobs will run on (default: this machine's)"
    )
    parser.add_argument(
        "--rates", type=Path, help="a machine's own rates, measured there by benchmarks/rates.py"
    )


def planned(targets: list[Path], configfiles: list[Path], config: Config) -> list[Job]:
    """Jobs that snakemake would run.

    Raises:
        FairgenError: snakemake refuses; with its last words.
    """
    extra = config_file.as_words(configfiles)
    words = ["--snakefile", str(project.called()), "--cores", "1", "--dry-run", *extra]
    command = [*project.SNAKEMAKE, *words, "--", *map(str, targets)]
    done = subprocess.run(command, capture_output=True, text=True)
    said = done.stdout + done.stderr
    if done.returncode:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        own = [*takewhile(lambda line: line.startswith("fairgen: "), reversed(lines))][::-1]
        told = [line.removeprefix("fairgen: ") for line in own]
        why = [line for line in told if not line.startswith("warning: ")] or [
            " ".join(lines[-3:]) or "snakemake gave no reason"
        ]
        raise FairgenError(
            "\n".join([f"{' '.join(map(str, targets))} cannot be planned: {why[0]}", *why[1:]])
        )
    found, of = [], cache(lambda *names: json.loads(settings(config, *names)))
    for rule, about in JOB.findall(said):
        named = re.search(r"^ {4}wildcards: (.+)$", about, re.M)
        wildcards = dict(part.split("=", 1) for part in named[1].split(", ")) if named else {}
        if "dataset" in wildcards:
            given = (wildcards.get(name) for name in ("method", "group", "ablation", "scope"))
            size = {"resolution": int(wildcards["resolution"])} if "resolution" in wildcards else {}
            found.append(Job(rule, wildcards, of(wildcards["dataset"], rule, *given) | size))
    return found


def images_of(config: Config, dataset: str, index: Path | None) -> int | None:
    """Images of a data set: of its index, of what will be drawn, or pictures in its folder; None if there are
    none.
    """
    if index:
        return parquet.count(index)
    data = dataset_block(config, dataset)
    if data["format"] == "birds":
        return sum(data["options"][split] for split in SPLITS) * len(data["groups"])
    names = [Path(folder, name) for folder, _, files in os.walk(data["root"]) for name in files]
    rows = sum(parquet.count(path) for path in names if path.suffix == ".parquet")
    return rows + sum(path.suffix.lower() in PICTURES for path in names) or None


def this_card() -> str | None:
    """The GPU of this machine, as `PEAK` names it; None if there is none or it is not in the table."""
    said = " ".join(smi("name") or [])
    return next(
        (name for name in sorted(PEAK, key=len, reverse=True) if re.search(rf"\b{name}\b", said)), None
    )


def rates_of(options: Namespace) -> Measured | None:
    """The rates of `--rates`, if they are given.

    Raises:
        FairgenError: a card is named too.
    """
    if options.rates and options.card:
        raise FairgenError("give --card or --rates: measured rates are of one card")
    return measured.read(options.rates) if options.rates else None


def check_device(rates: Measured | None, path: Path, config: Config, dataset: str) -> None:
    """Refuse rates of another device than the data set's jobs, if there are any.

    Raises:
        FairgenError: they are.
    """
    if not rates:
        return
    gpus = dataset_block(config, dataset)["gpu"]
    if (rates.device == "gpu") != bool(gpus):
        raise FairgenError(
            f"{path}: measured on the {rates.device.upper()}, and jobs of {dataset} compute on the"
            f" {'GPU' if gpus else 'CPU'} (gpu: {gpus}); measure there with benchmarks/rates.py"
        )


def run(options: Namespace) -> None:
    """Print the estimate.

    Raises:
        FairgenError: a target is no artifact of a data set, or snakemake refuses it.
    """
    for target in options.targets:
        if len(target.parts) < 3 or target.parts[0] != "results":
            raise FairgenError(
                f"{target}: give files below results/<data set>, for example results/birds/worst_group.json"
            )
    config, rates = expanded(project.config(options.configfile)), rates_of(options)
    for target in options.targets:  # before a plan, which may take a minute
        check_device(rates, options.rates, config, target.parts[1])
    jobs = planned(options.targets, options.configfile, config)
    if not jobs:
        print("Nothing to be done.")
        return
    found, card = [], options.card or this_card()
    for dataset in dict.fromkeys(job.wildcards["dataset"] for job in jobs):  # several for replicates
        results = Path("results", dataset)
        same, own = (
            same_data(config, dataset, results),
            [job for job in jobs if job.wildcards["dataset"] == dataset],
        )
        images = images_of(config, dataset, results / "index.parquet" if same else None)
        check_device(rates, options.rates, config, dataset)
        reference = Reference(card, dataset_block(config, dataset)["gpu"], images, rates)
        found += costs(own, past(Path("results/benchmarks", dataset), results), same, reference, config)
    draws = sum(job.settings["per_group"] for job in jobs if job.rule == "sample")
    gpus = dataset_block(config, options.targets[0].parts[1])["gpu"]
    bases = dict.fromkeys(job.settings["base"]["model"] for job in jobs if "base" in job.settings)
    named = f"measured on {rates.machine}" if rates else machine(gpus, card)
    print(report(together(found), gpus, draws, named, [*filter(unrated, bases)]))
