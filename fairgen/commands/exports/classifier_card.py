"""The card of an exported classifier: its group accuracies first, then how it was made, what it is for, and
its limits.

After "Model cards for model reporting" (Mitchell et al. 2019, arXiv 1810.03993), as far as the artifacts can
answer.
"""

import re
from argparse import Namespace
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fairgen import __version__
from fairgen.commands.exports import card, public
from fairgen.core import records
from fairgen.core.markdown import clean, table
from fairgen.evaluate.data_card import number
from fairgen.models.classifier import Classifier

USE = """\
## Intended use

To study how classifiers do on groups that are rare in their training data, and as one of the methods that a
comparison has. It gives every image one of its classes, whatever the image shows. Not for decisions about
persons, and not where an error of the worst group's rate would do harm.

## Limits

- The accuracies are of test images from the data set that it was trained on; elsewhere they may be lower.
- Groups are those that the data set names. Within a group there can be others on which it does worse.
- One seed of one method: the result file says how much seeds differ.
- An interval speaks about the test images' number alone, not about other splits or other training runs."""
NOT_MEASURED = (
    "Not stated: no `metrics.json` lay beside the weights when they were exported. Export the"
    " `model.safetensors` of a finished run in its place."
)
PREPROCESSING = (
    "RGB, upright (EXIF), transparency on white; the shorter side is scaled to {size} pixels (bicubic,"
    " antialiased) and the centre square cut; values from 0 to 1, minus mean {mean}, divided by std"
    " {std}{where}."
)
CODE = {
    "timm": """\
model = timm.create_model("hf-hub:OWNER/NAME", pretrained=True).eval()  # from a disk: "local-dir:{output}"
transform = timm.data.create_transform(**timm.data.resolve_data_config(model=model))
model(transform(image)[None]).softmax(1)""",
    "uint8": """\
session = onnxruntime.InferenceSession("model.onnx")
pixels = numpy.stack([numpy.asarray(ImageOps.fit(image, ({size}, {size}), Image.Resampling.BICUBIC))])
logits, probabilities = session.run(None, {{"images": pixels}})  # (n, {size}, {size}, 3) uint8""",
    "float": """\
session = onnxruntime.InferenceSession("model.onnx")
logits, probabilities = session.run(None, {{"images": pixels}})  # (n, 3, {size}, {size}), normalised""",
}


PLACE = re.compile(r"([^/]+)/(any|bias-[^/]+)/([^/]+)/seed-([0-9]+)/model\.safetensors$")
LOCAL = "local data set"  # no id at the hub, where a name of ours may be that of another's data set


@dataclass(frozen=True)
class Told:
    """What is known of a classifier."""

    path: Path
    settings: Classifier
    classes: list[str]
    history: dict[str, Any]  # what its weights have behind them
    made: dict[str, Any]  # record of its lineage
    digest: str  # SHA-256 of its file
    metrics: dict[str, Any] | None
    config: str | None  # hash of the config of the result file that holds it
    preprocessing: dict[str, list[float]]  # mean, std

    @property
    def where(self) -> dict[str, str]:
        """Data set, scope, method and seed by its place in the results; empty for a file elsewhere, whose
        folders are called after something else.
        """
        found = PLACE.search(str(self.path.absolute()))
        if not found or not (found[1] in records.data_of(self.made) or self.config):
            return {}
        return dict(zip(("data set", "scope", "method", "seed"), found.groups(), strict=True))


def interval(values: list[float] | None) -> str:
    """A 95 % interval."""
    return "–" if values is None else f"{values[0]:.3f} … {values[1]:.3f}"


def group_accuracies(told: Told) -> list[str]:
    """Accuracy of each group with its interval and numbers, and the worst one."""
    m = told.metrics
    if m is None:
        return ["## Group accuracies", NOT_MEASURED]
    known = m.get("lineage", {}).get("settings", {}).get("groups", {})
    head = (
        "group",
        "class",
        "bias",
        "accuracy",
        "95 %",
        "test images",
        "training images",
        "validation images",
    )
    rows = [
        (
            *(g, known.get(g, {}).get("target", "–"), known.get(g, {}).get("bias", "–")),
            *(number(f["accuracy"]), interval(f["wilson95"]), f["n"], f["train_n"], f["validation_n"]),
        )
        for g, f in m["groups"].items()
    ]
    worst = (
        f"Worst group: `{clean(m['worst_group'])}` with {number(m['worst_group_accuracy'])}"
        f" ({interval(m['worst_group_wilson95'])} for the smallest of the groups' true accuracies). Average"
        f" {number(m['average_accuracy'])}, mean of the groups {number(m['balanced_accuracy'])}."
        if m["worst_group"]
        else "No group has test images."
    )
    text = "Intervals are Wilson's at 95 %, over test images. They say nothing of other seeds or splits."
    parts = ["## Group accuracies", worst, table(head, rows), text]
    if m.get("shift"):
        shifted = (
            (g, number(f["accuracy"]), interval(f["wilson95"]), f["n"])
            for g, f in m["shift"]["groups"].items()
        )
        parts += [
            f"On the second test set, which is under another law than the training images, the worst group is"
            f" `{clean(m['shift']['worst_group'])}` with {number(m['shift']['worst_group_accuracy'])}.",
            table(("group", "accuracy", "95 %", "images"), shifted),
        ]
    return parts


def index(told: Told) -> dict[str, Any]:
    """The figures as the hub shows them."""
    if told.metrics is None or not told.metrics["worst_group"]:
        return {}
    names = {
        "worst_group_accuracy": "worst-group accuracy",
        "balanced_accuracy": "mean of the groups' accuracies",
        "average_accuracy": "average accuracy",
    }
    figures = [
        {"type": "accuracy", "name": name, "value": round(told.metrics[key], 4)}
        for key, name in names.items()
    ]
    where = told.where.get("data set", "not stated")
    result = {
        "task": {"type": "image-classification"},
        "dataset": {"name": where, "type": LOCAL, "split": "test"},
        "metrics": figures,
    }
    return {"model-index": [{"name": f"{told.settings.model} for {where}", "results": [result]}]}


def page(told: Told, options: Namespace, checked: str) -> str:
    """The card as Markdown; `checked` says how the export was compared."""
    timm, size = options.layout == "timm", told.settings.resolution
    front = {
        **card.front_licence(options),
        "library_name": "timm" if timm else "onnx",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", options.layout, "fairness", "group-robustness", "fairgen"],
        **index(told),
    }
    known = told.preprocessing
    inside = ", inside the graph" if not timm and options.input == "uint8" else ""
    m, made = told.metrics or {}, told.made.get("settings", {})
    drawn = "generation" in told.history.get("group_labels", [])
    base = "base model of the generated images" if drawn else "pretrained weights"
    mixed = "mixed with the real ones" if made.get("kind") == "augment" else "of stage 1"
    images = "of what it started from" if made.get("start") else mixed
    training = {
        **told.where,
        "generated images": images if drawn else None,
        "backbone": told.settings.model,
        "arguments": str(told.settings.args) if told.settings.args else None,
        "pretrained": str(public.facts(asdict(told.settings))["pretrained"]),
        "method of stage 2": made.get("kind"),
        **{f"stage 2: {key}": value for key, value in made.get("recipe", {}).items()},
        "started from": made.get("start"),
        "gradient steps in all": told.history.get("gradient_steps"),
        "group labels used for": ", ".join(told.history.get("group_labels", [])) or "nothing",
        "real training images": m.get("training_rows"),
        "validation images": m.get("validation_rows"),
    }
    origin = {
        "fairgen": __version__,
        "lineage": told.made.get("hash"),
        "weights (SHA-256)": told.digest,
        "config (SHA-256)": told.config or "not stated: no result file holds these weights",
    }
    code = CODE["timm" if timm else options.input].format(output=options.output.name, size=size)
    classes = ", ".join(f"`{clean(name)}`" for name in told.classes)
    parts = [
        f"# {clean(told.settings.model)} for {classes}",
        f"A classifier of {classes}, trained by fairgen. Its logits are in this order.",
        *group_accuracies(told),
        f"## How it is used\n\n```python\n{code}\n```",
        "Preprocessing: " + PREPROCESSING.format(size=size, where=inside, **known) + f" {checked}",
        "## How it was trained\n\n" + card.settings(training),
        USE,
        "## Where it comes from\n\n" + card.settings(origin),
        card.licences(
            options,
            "this classifier",
            {
                base: options.base_license,
                **({"pretrained weights": None} if drawn and told.settings.pretrained else {}),
                "training images": options.data_license,
            },
        ),
    ]
    return card.page(front, parts)
