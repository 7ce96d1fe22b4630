"""What the classifier methods share: the data of a run, the loop over minibatches, and selection on validation rows."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import torch
from torch.nn import functional as F
from tqdm import tqdm

from fairgen.batches import Batches
from fairgen.errors import FairgenError
from fairgen.models.classifier import Network, augment, predict
from fairgen.rows import Rows
from fairgen.seeds import seed_of

# per-sample losses (n,) and groups (n,) to one loss
Objective = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

# what weights are selected by: the figures of the validation rows that count, the first one first
SCORES = {
    "groups": ("validation_worst_group", "validation_balanced"),
    "clusters": ("validation_worst_cluster", "validation_balanced_clusters"),  # inferred groups
    "average": ("validation_average",),
}


@dataclass(frozen=True)
class Optimisation:
    """How weights are moved."""

    steps: int
    batch: int
    lr: float
    weight_decay: float


@dataclass(frozen=True)
class Recipe(Optimisation):
    """Optimisation with selection: the settings that every method trained by gradient steps has."""

    evaluate_every: int  # steps between looks at the validation rows
    select: str  # groups | clusters | average: a key of SCORES

    @property
    def gradient_steps(self) -> int:
        """Gradient steps of the whole method."""
        return self.steps


@dataclass(frozen=True)
class Problem:
    """Training and validation rows, the groups' names, and the random stream of the run.

    `trained` says that the network comes with trained weights, which then are a candidate of the selection;
    `synthetic` holds selected images for the methods that mix them into the training rows.
    """

    train: Rows
    validation: Rows
    groups: list[str]
    seed: int
    trained: bool = False
    synthetic: Rows | None = None


def selection_score(logits: torch.Tensor, rows: Rows, select: str) -> tuple[float, ...]:
    """The figures of `SCORES[select]`: worst-group and balanced accuracy over the groups present, or plain accuracy."""
    right = (logits.argmax(1) == rows.target).float()
    if select == "average":
        return (right.mean().item(),)
    accuracies = [right[rows.group == g].mean().item() for g in rows.group.unique()]
    return min(accuracies), sum(accuracies) / len(accuracies)


@dataclass
class Best:
    """The best weights seen: by the figures of `SCORES[select]` in their order, then the earlier step."""

    select: str = "groups"
    score: tuple[float, ...] = (-1.0,)
    step: int = 0
    state: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)  # what else a method has to say

    def offer(self, score: tuple[float, ...], step: int, module: torch.nn.Module) -> None:
        """Keep the module's weights if the score beats all before it."""
        if score > self.score:
            self.score, self.step, self.state = score, step, copy.deepcopy(module.state_dict())

    def facts(self) -> dict[str, Any]:
        """What was selected, and the method's notes."""
        return {"selected_step": self.step, **dict(zip(SCORES[self.select], self.score, strict=True)), **self.notes}


def batches(count: int, recipe: Optimisation, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """`recipe.steps` batches of row numbers, each row once before any row again."""
    yield from islice(Batches(count, recipe.batch, generator), recipe.steps)


def weighted_batches(weights: torch.Tensor, recipe: Optimisation, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """`recipe.steps` batches of row numbers, drawn with replacement in proportion to the rows' weights (n,)."""
    for _ in range(recipe.steps):
        yield torch.multinomial(weights, recipe.batch, replacement=True, generator=generator)


def group_weights(groups: torch.Tensor, count: int) -> torch.Tensor:
    """Weight (count,) of each group in inverse proportion to its rows, one on average over the rows (n,); 0 without rows."""
    sizes = torch.bincount(groups, minlength=count).float()
    return torch.where(sizes > 0, len(groups) / ((sizes > 0).sum() * sizes), 0.0)


def optimiser(weights: Iterator[torch.nn.Parameter], recipe: Optimisation) -> tuple[Any, Any]:
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


def mean_loss(losses: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    """The objective of empirical risk minimisation."""
    return losses.mean()


def descend(
    network: Network,
    rows: Rows,
    recipe: Optimisation,
    objective: Objective,
    generator: torch.Generator,
    weights: torch.Tensor | None = None,
) -> Iterator[int]:
    """Train all weights on augmented batches; yields the number of each step that is done.

    `weights` (n,) makes the batches draw rows in that proportion.
    """
    optimizer, schedule = optimiser(network.parameters(), recipe)
    plan = batches(len(rows), recipe, generator) if weights is None else weighted_batches(weights, recipe, generator)
    for number, batch in enumerate(tqdm(plan, total=recipe.steps, desc="finetune", disable=None), 1):
        network.train()
        logits = network(augment(rows.pixels[batch], generator)).cpu()  # losses and group weights are small
        losses = F.cross_entropy(logits, rows.target[batch], reduction="none")
        step(objective(losses, rows.group[batch]), optimizer, schedule)
        yield number


def first_network(network: Network, problem: Problem, recipe: Any) -> None:
    """Train by ERM for `recipe.identify_steps`, for the methods that learn from a first network what the second one needs."""
    generator = torch.Generator().manual_seed(seed_of("identify", problem.seed))
    for _ in descend(network, problem.train, replace(recipe, steps=recipe.identify_steps), mean_loss, generator):
        pass


def fit_all(
    network: Network, problem: Problem, recipe: Recipe, objective: Objective = mean_loss, weights: torch.Tensor | None = None
) -> Best:
    """Train all weights (see `descend`); the network ends with the selected weights."""
    generator, best = torch.Generator().manual_seed(problem.seed), Best(recipe.select)

    def look(number: int) -> None:
        logits = predict(network, problem.validation.pixels)
        best.offer(selection_score(logits, problem.validation, recipe.select), number, network)

    if problem.trained:
        look(0)
    for number in descend(network, problem.train, recipe, objective, generator, weights):
        if number % recipe.evaluate_every == 0 or number == recipe.steps:
            look(number)
    network.load_state_dict(best.state)
    return best
