"""Stage `finetune`: train the classifier on the real, biased data by the chosen method, and predict.

Weights are selected on validation rows only. Predictions of the validation, test and shift rows are stored,
so that a new metric never trains or infers again. The weights and the predictions say what is behind them:
gradient steps in all, and what group labels were used for (generation, training, selection).
"""

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from fairgen.classify import examples, methods
from fairgen.classify.model_selection import Best
from fairgen.classify.problem import Problem
from fairgen.core import job, parquet
from fairgen.core.seeds import seed_of
from fairgen.core.settings import read
from fairgen.data import pixels
from fairgen.data.subset import SPLITS
from fairgen.models import classifier


@dataclass(frozen=True)
class Finetune:
    """The method with its recipe, where it starts, the classifier, the classes, and the groups in the
    config's order.
    """

    kind: str
    start: str | None  # method whose finished model comes in as weights
    recipe: dict[str, Any]  # read by the method's own `Recipe`
    classifier: classifier.Classifier
    precision: str  # float32 | bfloat16: of training
    classes: list[str]
    targets: dict[str, str]  # group → class
    groups: list[str]


@dataclass(frozen=True)
class Files(job.Files):
    """What a job reads and writes."""

    split: job.Input
    pixels: job.Input
    weights: job.Inputs
    selection: job.Inputs
    seed: job.Value
    model: job.Output
    predictions: job.Output


def history(before: dict[str, Any], method: ModuleType, recipe: Any, best: Best) -> dict[str, Any]:
    """What the weights have behind them, with what their start had (`before`)."""
    used = {
        *before.get("group_labels", []),
        *method.LABELS,
        *(["selection"] if best.select == "groups" else []),
    }
    steps = before.get("gradient_steps", 0) + recipe.gradient_steps - best.unspent
    return {"gradient_steps": steps, "group_labels": sorted(used)}


def prediction_columns(
    judged: list[dict[str, Any]], logits: torch.Tensor, classes: list[str]
) -> dict[str, list[Any]]:
    """Columns of the predictions: the rows' labels, the predicted class, and its probabilities in the
    classes' order.
    """
    columns = {key: [r[key] for r in judged] for key in ("id", "group", "split", "target")}
    columns["predicted"] = [classes[i] for i in logits.argmax(1)]
    return columns | {"probabilities": logits.softmax(1).tolist()}


def work(settings: Finetune, files: Files) -> None:
    """Train, select, save, predict."""
    # data, and the network with the weights that it starts from
    method = methods.method(settings.kind)
    recipe = read(method.Recipe, settings.recipe, f"finetune.{settings.kind}")
    table = parquet.rows(files.split, ["id", "group", "split", "target"])
    stored = pixels.read(files.pixels, settings.classifier.resolution)
    parts = {name: [r for r in table if r["split"] == name] for name in SPLITS}
    seed = seed_of("classifier", files.seed)
    network = classifier.build(settings.classifier, len(settings.classes), seed, settings.precision)
    job.ready()
    before = classifier.restore(files.weights[0], network) if files.weights else {}
    # training and selection see training and validation rows only
    labels = examples.ClassIndex(settings.classes, settings.targets, settings.groups)
    load = partial(examples.real, file=stored, labels=labels)
    drawn = (
        examples.synthetic(files.selection[0], settings.classifier.resolution, labels)
        if files.selection
        else None
    )
    train, validation = load(parts["train"]), load(parts["validation"])
    problem = Problem(train, validation, settings.groups, seed, bool(files.weights), drawn, files.work)
    best = method.train(network, problem, recipe)
    job.log.info("selected %s", best.facts())
    behind = history(before, method, recipe, best)
    classifier.save(
        files.model, network, {**behind, **classifier.identity(settings.classifier, settings.classes)}
    )
    # predictions of all rows but training's, with what is behind the weights
    judged = parts["validation"] + parts["test"] + parts["shift"]
    logits = classifier.predict(network, load(judged).pixels)
    unseen = sorted(
        set(settings.groups) - {r["group"] for r in parts["validation"]}, key=settings.groups.index
    )
    if unseen:
        job.log.warning(
            "the selection of weights has not seen groups without validation images: %s", ", ".join(unseen)
        )
    facts = {
        "weights_sha256": hashlib.sha256(Path(files.model).read_bytes()).hexdigest(),
        "start": settings.start,
        "training_rows": len(train),
        "validation_rows": len(validation),
        "groups_without_validation": unseen,
    }
    columns = prediction_columns(judged, logits, settings.classes)
    parquet.write(files.predictions, columns, {**facts, **behind, **best.facts()})


if __name__ == "__main__":
    job.main(work, Finetune, Files)
