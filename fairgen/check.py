"""Stage `check`: what a run of this data set would do, before anything is trained, as one page.

Images per group at every ratio, groups that will borrow, clusters, prompts with their length in tokens, the amount of
work, and how long it takes where earlier runs have told.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from types import SimpleNamespace
from typing import Any

from fairgen import job, tables
from fairgen.cluster import clusters_for
from fairgen.errors import FairgenError
from fairgen.markdown import table
from fairgen.prompts import instance_prompt, plain_prompt
from fairgen.timing import megabytes_known, seconds_known


@dataclass(frozen=True)
class Generator:
    """What the check needs of one compared method with adapters."""

    k: int
    min_images: int
    borrow_below: int
    token: str
    per_group: int


@dataclass(frozen=True)
class Check:
    """The data set's groups and its compared methods."""

    dataset: str
    ratios: list[float | str]
    prompts: dict[str, str]
    donors: dict[str, str | None]
    base: dict[str, Any]
    generators: dict[str, Generator]
    classifiers: int  # classifier runs of the whole comparison


def plan(counts: dict[str, int], settings: Check, generator: Generator) -> dict[str, str]:
    """What one method does for each group: how many generators it trains, or whose it borrows."""
    found = {}
    for group, donor in settings.donors.items():
        own = counts.get(group, 0)
        k = clusters_for(own, generator.k, generator.min_images)
        if donor and own < generator.borrow_below:
            found[group] = f"borrows from {donor}"
        else:
            found[group] = f"{k} generator{'s' if k > 1 else ''}" if own else "no image and no donor"
    return found


def prompt_lengths(settings: Check) -> tuple[list[tuple[str, int | str]], list[str]]:
    """Every prompt as the text encoder gets it, with its tokens, and the problems among them."""
    tokens = {g.token for g in settings.generators.values()}
    prompts = list(
        dict.fromkeys(
            p for text in settings.prompts.values() for p in (plain_prompt(text), *(instance_prompt(text, t) for t in tokens))
        )
    )
    from fairgen.models import count_tokens, diffusion, text_encoders

    try:
        tokenizer = text_encoders.load_tokenizer(diffusion.Base(**settings.base))
    except FairgenError as error:
        return [(p, "?") for p in prompts], [f"tokens not counted: {error}"]
    lengths, limit = count_tokens(tokenizer, prompts), tokenizer.model_max_length
    long = [
        f"prompt '{p}' has {n} tokens, the text encoder reads {limit}" for p, n in zip(prompts, lengths, strict=True) if n > limit
    ]
    return list(zip(prompts, lengths, strict=True)), long


def known_costs(dataset: str) -> str:
    """Mean time and disk space of the finished jobs that took a second or more, by rule."""
    times, sizes = seconds_known(Path("results/benchmarks", dataset)), megabytes_known(Path("results", dataset))
    rows = [
        (rule, len(taken), f"{mean(taken):.0f}", f"{mean(sizes[rule]):.1f}" if sizes.get(rule) else "")
        for rule, taken in sorted(times.items())
        if mean(taken) >= 1
    ]
    known = table(("rule", "finished jobs", "mean seconds", "mean MB"), rows)
    return known if rows else "No job has run yet, so no time and no size is known; `fairgen estimate` adds them up later."


def page(settings: Check, splits: dict[str, dict[str, Any]], prompts: list[tuple[str, int | str]], problems: list[str]) -> str:
    """The check as Markdown; `splits` maps each ratio to the facts of its split."""
    groups, parts = list(settings.prompts), [f"# Check of {settings.dataset}"]
    trained, work = 0, {}
    for ratio, facts in splits.items():
        counts = facts["counts"]
        head = ("group", "train", "validation", "test", *settings.generators)
        plans = {name: plan(counts["train"], settings, g) for name, g in settings.generators.items()}
        rows = (
            [g, *(counts[s].get(g, 0) for s in ("train", "validation", "test")), *(p[g] for p in plans.values())] for g in groups
        )
        parts += [f"## Bias ratio {ratio}", table(head, rows)]
        problems += [f"ratio {ratio}: fewer images than it asks for, all are kept: {line}" for line in facts["short"]]
        problems += [f"ratio {ratio}: group {g} has no test image" for g in groups if not counts["test"].get(g)]
        trained += sum(int(text.split()[0]) for p in plans.values() for text in p.values() if text[0].isdigit())
    work["generators to train"] = trained
    work["images to draw"] = len(splits) * len(groups) * sum(g.per_group for g in settings.generators.values())
    work["classifier runs"] = settings.classifiers
    parts += ["## Prompts", table(("tokens", "prompt"), ((n, p) for p, n in prompts))]
    parts += ["## Work", table(("at most", "what"), ((n, what) for what, n in work.items()))]
    parts += [known_costs(settings.dataset)]
    parts += ["## To look at", "\n".join(f"- {line}" for line in problems) or "Nothing."]
    return "\n\n".join(parts) + "\n"


def work(settings: Check, paths: SimpleNamespace) -> None:
    """Write the page after the ingest's audit, and show both on the terminal."""
    prompts, problems = prompt_lengths(settings)
    splits = {str(ratio): tables.facts(path) for ratio, path in zip(settings.ratios, paths.splits, strict=True)}
    text = Path(paths.audit).read_text() + "\n" + page(settings, splits, prompts, problems)
    Path(paths.page).write_text(text)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `fairgen check`."""
    parser.add_argument("dataset", help="a data set of the config")
    parser.add_argument("--cores", default="all", help="cores for reading the images (default: all)")
    parser.add_argument("--configfile", help="a config file to merge over config.yaml")


def run(options: argparse.Namespace) -> None:
    """`fairgen check`: bring the page up to date in the current workflow folder, and print it.

    Raises:
        FairgenError: snakemake failed; its own line stands above.
    """
    target = Path("results", options.dataset, "check.md")
    extra = ["--configfile", options.configfile] if options.configfile else []
    command = [sys.executable, "-m", "snakemake", "--cores", options.cores, "--quiet", "all", *extra, "--", str(target)]
    if subprocess.run(command).returncode:
        raise FairgenError(f"{options.dataset} does not pass; what is wrong stands above, and in full under results/logs")
    print(target.read_text())


if __name__ == "__main__":
    job.main(work, Check, reads=["audit", "splits*"], writes=["page"])
