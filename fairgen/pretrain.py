"""Stage `pretrain` (stage 1 of the paper): train the classifier on the selected synthetic images, CE + λ · SupCon."""

from dataclasses import dataclass
from types import SimpleNamespace

import torch
from torch.nn import functional as F
from tqdm import tqdm

from fairgen import devices, job, rows
from fairgen.batches import Batches
from fairgen.checkpoint import Training
from fairgen.losses import supcon
from fairgen.models import classifier
from fairgen.seeds import seed_of
from fairgen.training import Optimisation, optimiser, step
from fairgen.work import digest


@dataclass(frozen=True)
class Pretrain:
    """The classifier, its optimisation, the SupCon term, and each group's class."""

    classifier: classifier.Classifier
    recipe: Optimisation
    supcon: float  # λ, the weight of the contrastive term; 0 leaves it out
    temperature: float
    projection: int  # width of the projection head, which is dropped afterwards
    classes: list[str]
    targets: dict[str, str]  # group → class


def work(settings: Pretrain, paths: SimpleNamespace) -> None:
    """Train on synthetic images only; the last step's weights are kept, no real row is looked at."""
    seed = seed_of("classifier", paths.seed)
    network = classifier.build(settings.classifier, len(settings.classes), seed)
    job.ready()
    labels = rows.Labels(settings.classes, settings.targets, list(settings.targets))
    drawn = rows.synthetic(paths.selection, settings.classifier.resolution, labels)
    width = network.head.in_features
    layers = torch.nn.Linear(width, width), torch.nn.ReLU(), torch.nn.Linear(width, settings.projection)
    projection = torch.nn.Sequential(*layers).to(devices.current())
    weights = [*network.parameters(), *projection.parameters()]
    optimizer, schedule = optimiser(weights, settings.recipe)
    generator = torch.Generator().manual_seed(seed)
    network.train()
    order = Batches(len(drawn), settings.recipe.batch, generator)
    state = [*network.state_dict().values(), *projection.state_dict().values()]
    training = Training({"state": state}, optimizer, schedule, generator, [order])
    training.resume(paths.work, {"images": digest(drawn.pixels.numpy(), drawn.group.numpy())})
    steps = range(training.step, settings.recipe.steps)
    for _ in tqdm(steps, total=settings.recipe.steps, initial=training.step, desc="pretrain", disable=None):
        batch = next(order)
        features = network.features(classifier.augment(drawn.pixels[batch], generator))
        loss = F.cross_entropy(network.head(features).cpu(), drawn.target[batch])
        if settings.supcon:
            loss = loss + settings.supcon * supcon(projection(features).cpu(), drawn.target[batch], settings.temperature)
        step(loss, optimizer, schedule)
        training.step += 1
        training.save(paths.work)
    history = {"gradient_steps": settings.recipe.steps, "group_labels": ["generation"]}
    classifier.save(paths.weights, network, history)


if __name__ == "__main__":
    job.main(work, Pretrain, reads=["selection"], values=["seed"], writes=["weights"])
