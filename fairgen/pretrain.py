"""Stage `pretrain` (stage 1 of the paper): train the classifier on the selected synthetic images, CE + λ · SupCon."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import torch
from torch.nn import functional as F
from tqdm import tqdm

from fairgen import images, job, tables
from fairgen.losses import supcon
from fairgen.models import classifier
from fairgen.seeds import seed_of
from fairgen.training import Recipe, batches, optimiser, step


@dataclass(frozen=True)
class Pretrain:
    """The classifier, its optimisation, the SupCon term, and each group's class."""

    classifier: classifier.Classifier
    recipe: Recipe
    supcon: float  # λ, the weight of the contrastive term; 0 leaves it out
    temperature: float
    projection: int  # width of the projection head, which is dropped afterwards
    classes: list[str]
    targets: dict[str, str]  # group → class


def load_selection(path: Path, settings: Pretrain) -> tuple[torch.Tensor, torch.Tensor]:
    """The kept images (n, 3, h, w) uint8 with their class numbers (n,)."""
    rows = [r for r in tables.rows(path, ["id", "group", "file", "kept"])]
    pixels, labels = [], []
    for file in dict.fromkeys(r["file"] for r in rows):
        own = [r for r in rows if r["file"] == file]
        kept = [i for i, r in enumerate(own) if r["kept"]]
        pixels.append(classifier.to_pixels(images.load_column(Path(file), settings.classifier.resolution, kept)))
        labels += [settings.classes.index(settings.targets[own[i]["group"]]) for i in kept]
    return torch.cat(pixels), torch.tensor(labels)


def work(settings: Pretrain, paths: SimpleNamespace) -> None:
    """Train on synthetic images only; the last step's weights are kept, no real row is looked at."""
    seed = seed_of("classifier", paths.seed)
    network = classifier.build(settings.classifier, len(settings.classes), seed)
    job.ready()
    pixels, target = load_selection(paths.selection, settings)
    width = network.head.in_features
    projection = torch.nn.Sequential(torch.nn.Linear(width, width), torch.nn.ReLU(), torch.nn.Linear(width, settings.projection))
    weights = [*network.parameters(), *projection.parameters()]
    optimizer, schedule = optimiser(weights, settings.recipe)
    generator = torch.Generator().manual_seed(seed)
    network.train()
    steps = batches(len(target), settings.recipe, generator)
    for rows in tqdm(steps, total=settings.recipe.steps, desc="pretrain", disable=None):
        features = network.features(classifier.augment(pixels[rows], generator))
        loss = F.cross_entropy(network.head(features), target[rows])
        if settings.supcon:
            loss = loss + settings.supcon * supcon(projection(features), target[rows], settings.temperature)
        step(loss, optimizer, schedule)
    classifier.save(paths.weights, network)


if __name__ == "__main__":
    job.main(work, Pretrain, reads=["selection"], values=["seed"], writes=["weights"])
