"""Stage `pretrain` (stage 1 of the paper): train the classifier on the selected synthetic images, CE + λ ·
SupCon.

As the control for extra data, the images of another data set can take their place: those that the base model
has seen.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fairgen.classify import examples
from fairgen.classify.losses import cross_entropy, supcon
from fairgen.classify.recipe import Optimisation
from fairgen.classify.training import from_weights, optimizer_and_schedule, step
from fairgen.core import callback, devices, job, parquet
from fairgen.core.batches import Batches
from fairgen.core.checkpoint import TrainingState
from fairgen.core.errors import FairgenError
from fairgen.core.progress import counted
from fairgen.core.seeds import seed_of
from fairgen.core.workfolder import Resume, digest
from fairgen.data import duplicates, pixels
from fairgen.generate import selection
from fairgen.models import classifier


@dataclass(frozen=True)
class Pretrain:
    """The classifier, its optimisation, the SupCon term, and each group's class."""

    classifier: classifier.Classifier
    precision: str  # float32 | bfloat16: of training
    recipe: Optimisation
    supcon: float  # λ, the weight of the contrastive term; 0 leaves it out
    temperature: float
    projection: int  # width of the projection head, which is dropped afterwards
    weights: str  # none | score: how much an image counts in both terms
    extra: str | None  # the data set whose training images are taken instead of generated ones
    # bits of 256 in which the perceptual hashes of copies differ at most: none of the held-out rows is learnt
    # from
    near: int
    classes: list[str]
    targets: dict[str, str]  # group → class


@dataclass(frozen=True)
class Files(job.Files):
    """What a job reads and writes."""

    selection: job.Inputs
    extra: job.Inputs
    seed: job.Value
    weights: job.Output


def unseen(index: Path, own: Path, settings: Pretrain) -> list[dict[str, Any]]:
    """The training rows of another data set's index, without (near) copies of the data set's own images:
    neither its held-out rows nor those that the ratio leaves out of training come back this way.

    Raises:
        FairgenError: no row is left.
    """
    content = ["hash", "perceptual"]
    others = [r for r in parquet.rows(index, ["id", "group", "split", *content]) if r["split"] == "train"]
    copies = duplicates.repeating(others, parquet.rows(own, content), settings.near)
    kept = [r for r in others if r["id"] not in copies]
    told = (
        f"pretrain.extra: {len(copies)} of {len(others)} training images of {settings.extra} are (near)"
        " copies"
        " of the data set's own images"
    )
    if not kept:
        raise FairgenError(f"config: {told}, so none is left; name another data set")
    if copies:
        job.warn(f"{told} and are left out")
    return kept


def images_of(settings: Pretrain, files: Files) -> tuple[examples.Examples, torch.Tensor | None]:
    """What stage 1 learns from: the selection, or the training rows of another data set; with the images'
    weights (n,).
    """
    labels = examples.ClassIndex(settings.classes, settings.targets, list(settings.targets))
    if settings.extra:
        index, stored, own = files.extra
        others = unseen(index, own, settings)
        return examples.real(others, pixels.read(stored, settings.classifier.resolution), labels), None
    weighed = settings.weights == "score"
    weights = torch.tensor(selection.scores(files.selection[0])).clamp(min=0) if weighed else None
    return examples.synthetic(files.selection[0], settings.classifier.resolution, labels), weights


def work(settings: Pretrain, files: Files) -> None:
    """Train on these images only; the last step's weights are kept, no row of the data set is looked at."""
    seed = seed_of("classifier", files.seed)
    network = classifier.build(settings.classifier, len(settings.classes), seed, settings.precision)
    job.ready()
    drawn, weights = images_of(settings, files)
    width = network.head.in_features
    # the projection head is for the contrastive term alone
    layers = torch.nn.Linear(width, width), torch.nn.ReLU(), torch.nn.Linear(width, settings.projection)
    projection = torch.nn.Sequential(*layers).to(devices.current())
    optimizer, schedule = optimizer_and_schedule(
        [*network.parameters(), *projection.parameters()], settings.recipe
    )
    generator = torch.Generator().manual_seed(seed)
    network.train()
    order = Batches(len(drawn), settings.recipe.batch, generator)
    # everything that changes goes into a checkpoint
    state = [*network.state_dict().values(), *projection.state_dict().values()]
    training = TrainingState({"state": state}, optimizer, schedule, generator, [order])
    seen = [*drawn.content(), *([] if weights is None else [weights.numpy()])]
    training.resume(from_weights(Resume(files.work, {"images": digest(*seen)}), state))
    # cross-entropy and SupCon on augmented batches
    callback.current.begin("train", [""], settings.recipe.steps, training.notes)
    steps = range(training.step, settings.recipe.steps)
    for _ in counted(steps, settings.recipe.steps, "pretrain", done=training.step):
        batch = next(order)
        features = network.features(classifier.augment(drawn.pixels[batch], generator))
        target, own = drawn.target[batch], None if weights is None else weights[batch]
        loss = cross_entropy(network.head(features).cpu(), target, own)
        if settings.supcon:
            loss = loss + settings.supcon * supcon(
                projection(features).cpu(), target, settings.temperature, own
            )
        training.step += 1
        step(loss, optimizer, schedule, training.step)
        training.save(files.work)
    history = {
        "gradient_steps": settings.recipe.steps,
        "group_labels": [] if settings.extra else ["generation"],
    }
    classifier.save(files.weights, network, history)


if __name__ == "__main__":
    job.main(work, Pretrain, Files)
