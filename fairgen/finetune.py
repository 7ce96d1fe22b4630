"""Stage `finetune`: train the classifier on the real, biased data by the chosen method, and predict.

Weights are selected on validation rows only. Predictions of the validation and test rows are stored, so that a new
metric never trains or infers again.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from fairgen import images, job, methods, tables
from fairgen.models import classifier
from fairgen.seeds import seed_of
from fairgen.training import Problem, Recipe, Rows


@dataclass(frozen=True)
class Finetune:
    """The method with its recipe, the classifier, the classes and the groups in the config's order."""

    kind: str
    recipe: Recipe
    classifier: classifier.Classifier
    classes: list[str]
    groups: list[str]


def load_rows(rows: list[dict[str, Any]], root: Path, settings: Finetune) -> Rows:
    """Images and labels of some rows of the split."""
    return Rows(
        classifier.to_pixels(images.load(root, [r["path"] for r in rows], settings.classifier.resolution)),
        torch.tensor([settings.classes.index(r["target"]) for r in rows]),
        torch.tensor([settings.groups.index(r["group"]) for r in rows]),
    )


def work(settings: Finetune, paths: SimpleNamespace) -> None:
    """Train, select, save, predict."""
    table, root = tables.rows(paths.split), Path(tables.facts(paths.split)["root"])
    parts = {name: [r for r in table if r["split"] == name] for name in ("train", "validation", "test")}
    seed = seed_of("classifier", paths.seed)
    network = classifier.build(settings.classifier, len(settings.classes), seed)
    job.ready()
    if paths.weights:
        classifier.restore(paths.weights[0], network)
    train, validation = (load_rows(parts[name], root, settings) for name in ("train", "validation"))
    best = methods.method(settings.kind).train(network, Problem(train, validation, settings.groups, seed), settings.recipe)
    job.log.info("selected %s", best.facts())
    classifier.save(paths.model, network)
    digest = hashlib.sha256(Path(paths.model).read_bytes()).hexdigest()
    judged = parts["validation"] + parts["test"]
    logits = torch.cat([classifier.predict(network, v.pixels) for v in (validation, load_rows(parts["test"], root, settings))])
    columns = {key: [r[key] for r in judged] for key in ("id", "group", "split", "target")}
    columns["predicted"] = [settings.classes[i] for i in logits.argmax(1)]
    columns["probabilities"] = logits.softmax(1).tolist()
    used = {"validation_rows": len(validation), "training_rows": len(train)}
    tables.write(paths.predictions, columns, {"weights_sha256": digest, **used, **best.facts()})


if __name__ == "__main__":
    job.main(work, Finetune, reads=["split", "weights*"], values=["seed"], writes=["model", "predictions"])
