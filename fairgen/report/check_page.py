"""The page of `check`: what there is to look at, what each method does for each group, and the amount of
work.
"""

from dataclasses import dataclass
from typing import Any

from fairgen.core import places
from fairgen.core.errors import FairgenError
from fairgen.core.markdown import clean, table
from fairgen.data import ingest_report
from fairgen.data.kmeans import clusters_for
from fairgen.evaluate.results import MISSING, missing
from fairgen.generate.prompts import instance_prompt, plain_prompt
from fairgen.models import base_model

DETAIL = "## In detail"  # the heading below which the terminal shows nothing


@dataclass(frozen=True)
class Generator:
    """What the check needs of one compared method with adapters."""

    k: int
    min_images: int
    borrow_below: int
    token: str
    per_group: int
    trains: bool = True  # its generators are counted here, and not at another method that shares them
    draws: bool = True  # its images


@dataclass(frozen=True)
class Check:
    """The data set's groups and its compared methods."""

    dataset: str
    ratios: list[float | str]
    prompts: dict[str, str]
    donors: dict[str, str | None]
    base: base_model.Base
    generators: dict[str, Generator]
    classifiers: int  # classifier runs of the whole comparison
    by_prompt: int  # images of each group that the base draws as it is
    aligned: list[str]  # groups whose generators and images all ratios share


def plan(counts: dict[str, int], settings: Check, generator: Generator) -> dict[str, str]:
    """What one method does for each group: how many generators it trains, fewer where a cluster would be too
    small, or whose it borrows.
    """
    found = {}
    for group, donor in settings.donors.items():
        own = counts.get(group, 0)
        most = clusters_for(own, generator.k, generator.min_images)
        if donor and own < generator.borrow_below:
            found[group] = f"borrows from {donor}"
        elif own:
            found[group] = f"{most} generators at most" if most > 1 else "1 generator"
        else:
            found[group] = "no image and no donor"
    return found


def prompt_lengths(settings: Check) -> tuple[list[tuple[str, int | str]], list[str]]:
    """Every prompt as the text encoder gets it, with its tokens, and the problems among them."""
    tokens = sorted({g.token for g in settings.generators.values()})
    prompts = list(
        dict.fromkeys(
            p
            for text in settings.prompts.values()
            for p in (plain_prompt(text), *(instance_prompt(text, t) for t in tokens))
        )
    )
    from fairgen.models import text_encoders
    from fairgen.models.tokens import count_tokens

    try:
        tokenizer = text_encoders.load_tokenizer(settings.base)
    except FairgenError as error:
        return [(p, "?") for p in prompts], [f"tokens not counted: {error}"]
    lengths, limit = count_tokens(tokenizer, prompts), tokenizer.model_max_length
    long = [
        f"prompt '{p}' has {n} tokens, the text encoder reads {limit}"
        for p, n in zip(prompts, lengths, strict=True)
        if n > limit
    ]
    return list(zip(prompts, lengths, strict=True)), long


def of_splits(
    settings: Check, splits: dict[str, dict[str, Any]], said: dict[str, list[str]]
) -> tuple[str, list[str], int]:
    """The table of images and generators at every ratio, the problems among them, and how many generators are
    trained.

    Args:
        settings: of the stage.
        splits: each ratio with the facts of its split.
        said: groups without rows in the data themselves, split by split, which the audit names.
    """
    rows, problems, trained, shared = [], [], 0, set(settings.aligned)
    for number, (ratio, facts) in enumerate(splits.items()):
        counts = {split: facts["counts"].get(split, {}) for split in MISSING}
        plans = [plan(counts["train"], settings, g) for g in settings.generators.values()]
        for g in settings.prompts:
            rows.append([ratio, g, *(counts[split].get(g, 0) for split in counts), *(p[g] for p in plans)])
        empty = {
            s: [g for g in settings.prompts if not counts[s].get(g) and g not in said.get(s, ())]
            for s in counts
        }
        problems += [f"ratio {ratio}: {line}" for line in missing(empty)]
        problems += [
            f"ratio {ratio}: fewer images than it asks for, all are kept: {line}" for line in facts["short"]
        ]
        if facts["uncut"]:
            problems.append(
                f"ratio {ratio}: it leaves all images of {', '.join(facts['uncut'])}, where no group has"
                " role: conflicting"
            )
        counted = [p for p, method in zip(plans, settings.generators.values(), strict=True) if method.trains]
        own = [p[g] for p in counted for g in settings.prompts if not number or g not in shared]
        trained += sum(int(text.split()[0]) for text in own if text[0].isdigit())
    return table(("ratio", "group", *MISSING, *settings.generators), rows), problems, trained


def page(
    settings: Check,
    splits: dict[str, dict[str, Any]],
    prompts: list[tuple[str, int | str]],
    problems: list[str],
    audit: dict[str, Any],
) -> str:
    """The check as Markdown, what matters first.

    Args:
        settings: of the stage.
        splits: each ratio with the facts of its split.
        prompts: each with its tokens.
        problems: what was found before; it comes first.
        audit: of the data, `audit.json`.
    """
    plans, short, trained = of_splits(settings, splits, audit["empty"])
    found = [*problems, *short, *ingest_report.warnings(audit)]
    sets = len(settings.aligned) + len(splits) * (len(settings.prompts) - len(settings.aligned))
    images = sets * sum(g.per_group for g in settings.generators.values() if g.draws)
    images += len(settings.prompts) * settings.by_prompt
    amount = {
        "generators to train": trained,
        "images to draw": images,
        "classifier runs": settings.classifiers,
    }
    parts = [
        f"# Check of {clean(settings.dataset)}",
        f"{audit['read']} files or rows of {clean(places.text(audit['root']))} read,"
        f" {audit['indexed']} images indexed.",
        "## To look at",
        "\n".join(f"- {clean(line)}" for line in found) or "Nothing.",
        "## Images, and what each method does for the generators",
        plans,
        "## Work, at most",
        f"{', '.join(f'{n} {what}' for what, n in amount.items())}. What they take: fairgen estimate"
        f" results/{clean(settings.dataset)}/worst_group.json, with the config files of this run after"
        " --configfile",
        DETAIL,
        table(("tokens", "prompt"), ((n, p) for p, n in prompts)),
    ]
    return "\n\n".join(parts) + "\n"
