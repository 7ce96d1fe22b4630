"""What the classifier methods share: the data of a run, the loop over minibatches, and selection on validation rows."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional as F
from tqdm import tqdm

from fairgen.errors import FairgenError
from fairgen.models.classifier import Network, augment, predict

# per-sample losses (n,) and groups (n,) to one loss
Objective = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Recipe:
    """Optimisation of a classifier."""

    steps: int
    batch: int
    lr: float
    weight_decay: float
    evaluate_every: int = 0  # steps between looks at the validation rows
    step_size: float = 0.0  # Group-DRO's, like the next
    adjustment: float = 0.0


@dataclass(frozen=True)
class Rows:
    """Images (n, 3, h, w) uint8 with class numbers (n,) and group numbers (n,)."""

    pixels: torch.Tensor
    target: torch.Tensor
    group: torch.Tensor

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True)
class Problem:
    """Training and validation rows, the groups' names, and the random stream of the run."""

    train: Rows
    validation: Rows
    groups: list[str]
    seed: int


def selection_score(logits: torch.Tensor, rows: Rows) -> tuple[float, float]:
    """Worst-group and balanced accuracy over the groups that the rows hold."""
    right = (logits.argmax(1) == rows.target).float()
    accuracies = [right[rows.group == g].mean().item() for g in rows.group.unique()]
    return min(accuracies), sum(accuracies) / len(accuracies)


@dataclass
class Best:
    """The best weights seen: by worst-group accuracy, then balanced accuracy, then the earlier step."""

    score: tuple[float, float] = (-1.0, -1.0)
    step: int = 0
    state: dict[str, Any] = field(default_factory=dict)

    def offer(self, score: tuple[float, float], step: int, module: torch.nn.Module) -> None:
        """Keep the module's weights if the score beats all before it."""
        if score > self.score:
            self.score, self.step, self.state = score, step, copy.deepcopy(module.state_dict())

    def facts(self) -> dict[str, Any]:
        """What was selected."""
        return {
            "selected_step": self.step,
            "validation_worst_group": self.score[0],
            "validation_balanced": self.score[1],
        }


def batches(count: int, recipe: Recipe, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """`recipe.steps` batches of row numbers, each row once before any row again."""
    waiting = torch.empty(0, dtype=torch.long)
    for _ in range(recipe.steps):
        while len(waiting) < recipe.batch:
            waiting = torch.cat([waiting, torch.randperm(count, generator=generator)])
        yield waiting[: recipe.batch]
        waiting = waiting[recipe.batch :]


def optimiser(weights: Iterator[torch.nn.Parameter], recipe: Recipe) -> tuple[Any, Any]:
    """AdamW with a cosine schedule to zero."""
    chosen = torch.optim.AdamW(weights, lr=recipe.lr, weight_decay=recipe.weight_decay)
    return chosen, torch.optim.lr_scheduler.CosineAnnealingLR(chosen, recipe.steps)


def step(loss: torch.Tensor, optimizer: Any, schedule: Any) -> None:
    """One update.

    Raises:
        FairgenError: the loss is not finite.
    """
    if not torch.isfinite(loss):
        raise FairgenError("the classifier's loss is not finite; lower its learning rate in the config")
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    schedule.step()


def fit_all(network: Network, problem: Problem, recipe: Recipe, objective: Objective) -> Best:
    """Train all weights on augmented batches; the network ends with the selected weights."""
    generator, best = torch.Generator().manual_seed(problem.seed), Best()
    optimizer, schedule = optimiser(network.parameters(), recipe)
    bar = tqdm(batches(len(problem.train), recipe, generator), total=recipe.steps, desc="finetune", disable=None)
    for number, rows in enumerate(bar, 1):
        network.train()
        logits = network(augment(problem.train.pixels[rows], generator))
        losses = F.cross_entropy(logits, problem.train.target[rows], reduction="none")
        step(objective(losses, problem.train.group[rows]), optimizer, schedule)
        if number % recipe.evaluate_every == 0 or number == recipe.steps:
            logits = predict(network, problem.validation.pixels)
            best.offer(selection_score(logits, problem.validation), number, network)
    network.load_state_dict(best.state)
    return best
