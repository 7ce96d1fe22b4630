"""The data card of a synthetic set: what it is and how it was made, for whoever gets the files without the
project.

After "Datasheets for datasets" (Gebru et al. 2021, arXiv 1803.09010), as far as the artifacts can answer.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairgen import __version__
from fairgen.core import parquet, places, records
from fairgen.core.markdown import clean, table

COLUMNS = ["prompt", "negative_prompt", "steps", "guidance", "base", "adapter_hash"]


@dataclass(frozen=True)
class Recipe:
    """What the card says beyond the samples' own records."""

    dataset: str
    seed: int  # of the samples
    filter: dict[str, Any]


def generator_row(path: Path) -> dict[str, str]:
    """How one group's images were drawn."""
    rows, facts = parquet.rows(path, [*COLUMNS, "borrowed_guidance"]), parquet.facts(path)
    found = {name: list(dict.fromkeys(str(r[name]) for r in rows)) for name in COLUMNS}
    if interval := solver_of(path).get("guidance_interval"):
        found["guidance"].append("at levels of noise from {:g} to {:g}, else none".format(*interval))
    adapters = [digest for digest in found.pop("adapter_hash") if digest]
    weight = next((r["borrowed_guidance"] for r in rows if r["borrowed_guidance"]), None)
    said = [f"{len(adapters)} finetuned" if adapters else "the base model as it is"]
    if donor := facts["borrowed_from"]:
        said.append(f"those of {donor}")
    if weight:
        said.append(f"with {weight} times the base's step from that group's prompt to this one")
    if beside := facts.get("companions"):
        said.append(f"trained along on images of {' and '.join(beside)}")
    return {
        "group": path.stem,
        **{name: ", ".join(values) or "none" for name, values in found.items()},
        "generators": ", ".join(said),
    }


def solver_of(path: Path) -> dict[str, Any]:
    """The settings that a group's images were drawn with, as far as the file records them."""
    settings = (records.read(path) or {}).get("settings") or {}
    return settings.get("solver") or {}


def number(value: float | None, places: int = 3) -> str:
    """A figure with so many decimals, or a dash."""
    return "–" if value is None else f"{value:.{places}f}"


def figures_row(group: str, f: dict[str, Any]) -> list[Any]:
    """One group's line in the table of figures."""
    distance = f["kernel_distance"]
    kid = "–" if distance is None else f"{distance['mean']:.4f} ± {number(distance['sd'], 4)}"
    variety = f"{number(f['vendi_score'], 1)} ({number(f['vendi_score_real'], 1)})"
    near = f"{number(f['near_copies']['share'])} ({number(f['near_copies']['share_among_real'])})"
    flaws = (f["black"], f["constant"], f["duplicates"])
    taught = [
        number(f["transfer"][way]) for way in ("real_to_synthetic", "synthetic_to_real", "real_to_real")
    ]
    return [
        group,
        f["kept"],
        number(f["accepted"]),
        kid,
        number(f["precision"]),
        number(f["recall"]),
        number(f["density"]),
        number(f["coverage"]),
        f"{taught[0]}, {taught[1]} ({taught[2]})",
        variety,
        near,
        *flaws,
    ]


METRICS = (
    *("group", "kept", "accepted", "kernel distance", "precision", "recall"),
    *("density", "coverage", "transfer to, from synthetic (real)", "Vendi score (real)"),
    *("near copies (among real)", "black", "constant", "duplicates"),
)


ABOUT = (
    "Images drawn by a diffusion model to balance the groups of the data set {dataset}, made by fairgen"
    " {version}. None is a photograph, and a label is the group that the generator was asked for, not what"
    " someone has seen in the image. `samples/<group>.parquet` hold the images, each with its prompt, seed,"
    " base model and adapter; `selection.parquet` says which of them are kept, with their scores, and why"
    " the others are not."
)
LICENCE = (
    "The licence of the base model and that of the training images both bear on these images, and fairgen"
    " knows neither. Look them up before you pass the set on; images of persons may need more than a"
    " licence."
)
LIMITS = """\
- What the base model has learnt, its biases too, is in every image.
- A filter by scores trusts one scorer, figures trust one encoder, and each has blind spots of its own.
- A group that borrowed generators shows what its donor looks like under another prompt.
- Near copies are found by similarity of features: a low share is no proof that nothing was memorised."""


ACCEPTED = (
    " `accepted` is the share that passes the threshold: where it is low, the generator often misses the"
    " prompt."
)
OPINIONS = (
    *("method", "scope", "group", "second scorer", "accepted"),
    *("accepted by the second", "of the kept, by the second"),
)
OPINION = (
    "A scorer has biases of its own. `accepted` is the share that passes the filter's threshold by the scorer"
    " that filters, beside it the share that would pass by the second one (none of quantiles, which are alike"
    " by any), and of the images that are kept the share that the second one accepts too. Where the two"
    " disagree about one group and not about the others, look at its images before you trust either."
)


def rule_of(given: dict[str, Any], scorer: str) -> str:
    """The filter in words."""
    whose = (
        "each group"
        if given["balance"] == "groups"
        else "a group on average, in the proportions of the training images"
    )
    if given["by"] == "random":
        return f"{given['quota']} images of {whose}, at random, whatever a scorer says."
    best = f"then the best {given['quota']} of {whose}"
    return f"Scorer `{clean(places.scorer(scorer))}`: {given['by']} of at least {given['threshold']}, {best}."


def origin(recipe: Recipe, audit: dict[str, Any], samples: list[Path]) -> list[str]:
    """How the images were drawn and filtered."""
    made, head = (
        [generator_row(path) for path in samples],
        ("group", "prompt", "negative_prompt", "steps", "guidance", "generators"),
    )
    pool = ((g, f["sampled"], f["kept"], number(f["accepted"])) for g, f in audit["groups"].items())
    return [
        "## How it was made",
        "Base model (name, hash of its weights):"
        f" `{clean(', '.join(dict.fromkeys(places.base(row['base']) for row in made)))}`. Seed of the set:"
        f" {recipe.seed}; every image has a seed of its own, in the column `seed`.",
        table(head, ([row[name] for name in head] for row in made)),
        "## Filter",
        rule_of(recipe.filter, audit["scorer"]) + ("" if recipe.filter["by"] == "random" else ACCEPTED),
        table(("group", "drawn", "kept", "accepted"), pool),
    ]


def without_figures(audit: dict[str, Any], *where: str) -> list[str]:
    """One line for each group whose figures are null, with the reason; `where` stands before its name."""
    groups = audit["groups"].items()
    return [
        f"- {', '.join(map(clean, (*where, g)))}: {f['null_because']}" for g, f in groups if f["null_because"]
    ]


def opinions(audits: list[dict[str, Any]]) -> list[str]:
    """What a second scorer says of the sets that it was asked about; nothing where there is none."""
    lines = [
        (
            *(a["method"], a["scope"], g, clean(places.scorer(a["second"])), number(f["accepted"])),
            *(number(f["accepted_second"]), number(f["kept_accepted_second"])),
        )
        for a in audits
        if "second" in a
        for g, f in a["groups"].items()
    ]
    return ["## A second scorer", OPINION, table(OPINIONS, lines)] if lines else []


def figures(audit: dict[str, Any]) -> list[str]:
    """What the audit found, and why some figures are missing."""
    nulls = without_figures(audit)
    return [
        "## Figures",
        table(METRICS, (figures_row(g, f) for g, f in audit["groups"].items())),
        f"Real side: {audit['real']}. Distances, transfer and Vendi score are of features of"
        f" `{clean(places.scorer(audit['space']))}`. A near copy has a similarity of at least"
        f" {audit['similarity']} to a training row by the encoder `{clean(places.scorer(audit['encoder']))}`."
        " `audit.json` holds the figures, and `nearest.png` shows the closest pairs.",
        *(["Without figures (–):\n\n" + "\n".join(nulls)] if nulls else []),
    ]


def page(recipe: Recipe, audit: dict[str, Any], samples: list[Path]) -> str:
    """The card as Markdown; `audit` is the audit's document."""
    parts = [
        f"# Data card: synthetic images of {clean(recipe.dataset)}, {clean(audit['method'])},"
        f" {clean(audit['scope'])}",
        "## What it is",
        ABOUT.format(dataset=clean(recipe.dataset), version=__version__),
        *origin(recipe, audit, samples),
        *opinions([audit]),
        *figures(audit),
        *("## Licence", LICENCE, "## Limits", LIMITS),
    ]
    return "\n\n".join(parts) + "\n"
