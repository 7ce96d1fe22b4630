"""Small problems whose answer is known, and recipes to learn them by."""

import torch

from fairgen.classify.examples import Examples
from fairgen.classify.methods import erm, george, groupdro, jtt
from fairgen.classify.recipe import Recipe
from fairgen.models.classifier import Classifier

OWN = {
    groupdro: {"step_size": 0.01, "adjustment": 0.0},
    jtt: {"identify_steps": 10, "upweight": 5},
    george: {"step_size": 0.01, "adjustment": 0.0, "identify_steps": 10, "max_clusters": 3, "min_images": 5},
}
TINY = Classifier("resnet10t", {"channels": [8, 8, 16, 16], "stem_width": 8}, False, 32)


def coloured(n: int, seed: int) -> Examples:
    """Two classes: dark and bright pictures; the group is the class."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.arange(n) % 2
    pixels = torch.randint(0, 100, (n, 3, 32, 32), generator=generator) + 150 * target[:, None, None, None]
    return Examples(pixels.to(torch.uint8), target, target.clone())


def recipe(module: object = erm, steps: int = 30, **changes: float) -> Recipe:
    """A short recipe of one method."""
    common = {
        "steps": steps,
        "batch": 16,
        "lr": 3e-3,
        "weight_decay": 0.0,
        "optimizer": "adamw",
        "evaluate_every": 10,
        "select": "groups",
        "patience": 0,
    }
    return module.Recipe(**{**common, **OWN.get(module, {}), **changes})


def planted(count: int, seed: int) -> Examples:
    """Classes told apart by feature 3 in every group; the group's other half follows feature 0, mostly with
    the class.
    """
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(0, 2, (count,), generator=generator)
    bias = torch.where(torch.rand(count, generator=generator) < 0.9, target, 1 - target)
    x = torch.randn(count, 8, generator=generator)
    x[:, 0], x[:, 3] = 8 * bias + 0.1 * x[:, 0], 2 * (2 * target - 1) + x[:, 3] + 50
    return Examples(x, target, 2 * target + bias)


class Plain(torch.nn.Module):
    """A network whose features are its input."""

    def __init__(self, classes: int = 2):
        super().__init__()
        self.head = torch.nn.Linear(8, classes)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return x


GROUPS = ["a-0", "a-1", "b-0", "b-1"]
