"""The card of an exported synthetic set: what it is, how it was made and audited, what it is for, and its
limits.
"""

import json
from argparse import Namespace
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairgen import __version__
from fairgen.commands.exports import card, public
from fairgen.core import parquet, places, records
from fairgen.core.belonging import Belonging
from fairgen.core.errors import FairgenError
from fairgen.core.markdown import clean, table
from fairgen.evaluate import data_card

ABOUT = (
    "{count} images drawn by a diffusion model to balance the groups of the data set `{dataset}`, made by"
    " [fairgen](https://arxiv.org/abs/2511.08711) {version} (method `{method}`, `{scope}`). None is a"
    " photograph, and a label is the group that the generator was asked for, not what someone has seen in"
    " the image."
)
COLUMNS = {
    "image": "the picture, {size} × {size} pixels",
    "group": "what the generator was asked for: class and bias value together",
    "target": "the class, which a classifier is to learn",
    "bias": "the value that should not matter for it",
    "id": "group, cluster and number of the image",
    "cluster": "the part of its group, or of the one it was borrowed from, that the generator was trained on",
    "prompt": "prompt, with its rare token",
    "negative_prompt": "what guidance leads away from",
    "seed": "of this image alone",
    "steps": "of the sampler",
    "guidance": "g in u + g·(c − u); 1 is none",
    "base": "base model, with a hash of its weights",
    "adapter_hash": "of the finetuned generator; empty: the base as it is",
    "borrowed_from": "the group whose generator drew the image; empty: its own",
    "borrowed_guidance": "w in w·(b − d) on top of the guidance: the untouched base's answers to the prompts"
    " of the group (b) and of the one it was borrowed from (d), without the token; 0 is none",
    "score": "of the filter: see below",
    "kept": "whether the filter kept it",
    "reason": "why it did not",
}
USE = """\
## Intended use

To train and study classifiers on balanced groups, as in stage 1 of the method, and to study what generated
training data teach. Test on real images: no figure on these images says how a classifier does on real
ones. Not to be taken for photographs, not to identify, depict or describe real persons, and not as
evidence about the groups themselves."""
NOT_AUDITED = (
    "The set is not audited, as far as its files say: beside it lies no audit that records these very images,"
    " so nothing is known here of near copies of training images, or of how the set compares with real ones."
    " `fairgen run results/{dataset}/audit_synthetic.json` audits it, and exporting again adds that."
)


@dataclass(frozen=True)
class Told:
    """What a card is about."""

    selection: Path
    rows: list[dict[str, Any]]  # of the selection
    groups: dict[str, dict[str, str]]  # group → target, bias
    facts: dict[str, Any]  # of the selection
    size: int  # of the pictures

    @property
    def where(self) -> tuple[str, str, str]:
        """Data set, scope and method, by the selection's place."""
        method, scope, dataset = (parent.name for parent in list(self.selection.absolute().parents)[:3])
        return dataset, scope, method


def size_category(count: int) -> str:
    """The hub's name of a size."""
    steps = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M"}
    return next((name for limit, name in steps.items() if count < limit), "1M<n<10M")


def audit(told: Told) -> dict[str, Any] | None:
    """The audit beside the selection; None where there is none, or nothing says of which images it is.

    Raises:
        FairgenError: it is damaged, or of another selection.
    """
    path = told.selection.with_name("audit.json")
    own_hash, made = (records.read(told.selection) or {}).get("hash"), records.read(path)
    try:
        found = json.loads(path.read_text("utf-8"))
        own = {g: {name: f[name] for name in ("kept", "sampled")} for g, f in found["groups"].items()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FairgenError(f"{path} is damaged ({type(error).__name__}); run the workflow again") from error
    if not own_hash or not made:
        return None
    wanted = {g: {name: f[name] for name in ("kept", "sampled")} for g, f in told.facts["groups"].items()}
    if own != wanted or own_hash not in (records.sources_of(made) or ()):
        raise FairgenError(f"{path} is of another selection than {told.selection}; run the workflow again")
    Belonging(told.selection, records.read(told.selection) or {}).about(path)
    return public.facts(found)


def summary(told: Told) -> str:
    """The set in a sentence or two."""
    dataset, scope, method = told.where
    kept = sum(row["kept"] for row in told.rows)
    return ABOUT.format(
        count=kept, dataset=clean(dataset), version=__version__, method=clean(method), scope=clean(scope)
    )


def columns(told: Told, features: dict[str, Any]) -> dict[str, str]:
    """What each column is."""
    return {name: COLUMNS[name].format(size=told.size) for name in features}


def filtering(told: Told, found: dict[str, Any] | None) -> str:
    """How the images were chosen, and how many of each group there are."""
    rule = (records.read(told.selection) or {}).get("settings", {})
    scores = told.selection.with_name("scores.parquet")
    scorer = (found or {}).get("scorer")
    if not scorer and scores.is_file():
        Belonging(told.selection, records.read(told.selection) or {}).known(scores)
        scorer = parquet.facts(scores)["model"]
    scorer = scorer or "not recorded"
    kept = Counter(row["group"] for row in told.rows if row["kept"])
    counts = (
        (group, own["target"], own["bias"], f["sampled"], kept[group], data_card.number(f["accepted"]))
        for (group, own), f in zip(told.groups.items(), told.facts["groups"].values(), strict=True)
    )
    words = (
        data_card.rule_of(rule, scorer)
        if "by" in rule
        else f"Scorer `{clean(places.scorer(scorer))}`; its rule is not recorded."
    )
    return "\n\n".join(
        [
            "## Filter and counts",
            words
            if rule.get("by") == "random"
            else f"{words} `accepted` is the share of the drawn images that passes the threshold.",
            table(("group", "class", "bias", "drawn", "kept", "accepted"), counts),
        ]
    )


def generators(told: Told) -> str:
    """How each group's images were drawn."""
    head = ("group", "prompt", "negative_prompt", "steps", "guidance", "generators")
    files = [Path(file) for file in dict.fromkeys(row["file"] for row in told.rows)]
    made = [data_card.generator_row(file) for file in files]
    bases = ", ".join(dict.fromkeys(places.base(name) for row in made for name in row["base"].split(", ")))
    return "\n\n".join(
        [
            "## How it was made",
            f"Base model (name, hash of its weights): `{clean(bases)}`.",
            table(head, ([row[name] for name in head] for row in made)),
        ]
    )


def audited(told: Told, found: dict[str, Any] | None) -> list[str]:
    """The figures of the audit, or that there are none."""
    if found is None:
        return ["## Audit", NOT_AUDITED.format(dataset=told.where[0])]
    text = [
        part.replace("`audit.json` holds the figures, and `nearest.png` shows the closest pairs.", "")
        for part in data_card.figures(found)
    ]
    return ["## Audit", *text[1:], *data_card.opinions([found])]


def front(told: Told, options: Namespace, features: dict[str, Any], counts: dict[str, int]) -> dict[str, Any]:
    """What the hub reads."""
    dataset, _, method = told.where
    described = [{"name": name, **feature(own)} for name, own in features.items()]
    return {
        **card.front_licence(options),
        "pretty_name": f"{dataset}: synthetic images by {method}",
        "task_categories": ["image-classification"],
        "size_categories": [size_category(sum(counts.values()))],
        "annotations_creators": ["machine-generated"],
        "tags": ["synthetic", "fairness", "bias", "diffusion", "fairgen"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": name, "path": f"data/{name}-*.parquet"} for name in counts],
            }
        ],
        "dataset_info": {"features": described},
    }


def feature(own: dict[str, Any]) -> dict[str, Any]:
    """The type of a column in the front matter."""
    if own["_type"] == "ClassLabel":
        return {"dtype": {"class_label": {"names": {str(i): name for i, name in enumerate(own["names"])}}}}
    return {"dtype": "image" if own["_type"] == "Image" else own["dtype"]}


def page(told: Told, options: Namespace, features: dict[str, Any], counts: dict[str, int]) -> str:
    """The card as Markdown."""
    dataset, _, method = told.where
    found = audit(told)
    rows = ((f"`{name}`", words) for name, words in columns(told, features).items())
    made = records.read(told.selection) or {}
    splits = ", ".join(f"`{name}` {count}" for name, count in counts.items())
    parts = [
        f"# Synthetic images of {clean(dataset)}, {clean(method)}",
        summary(told),
        f'```python\ndatasets.load_dataset("{options.output.name}", split="train")\n```',
        f"Rows: {splits}. `croissant.json` describes the set in Croissant's vocabulary, `fairgen.json` says"
        f" where it came from (lineage `{made.get('hash', 'not recorded')}`).",
        table(("column", "what it is"), rows),
        generators(told),
        filtering(told, found),
        *audited(told, found),
        USE,
        f"## Limits\n\n{data_card.LIMITS}",
        card.licences(
            options, "this set", {"base model": options.base_license, "training images": options.data_license}
        ),
    ]
    return card.page(front(told, options, features, counts), parts)
