"""What the classifier methods share: the data of a run, the loop over minibatches, and selection on validation rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn import functional as F
from tqdm import tqdm

from fairgen.batches import Batches
from fairgen.checkpoint import Training
from fairgen.errors import FairgenError
from fairgen.models.classifier import Network, augment, predict
from fairgen.rows import Rows
from fairgen.seeds import seed_of
from fairgen.work import Work, digest

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
    patience: int  # looks without a better one after which training ends; 0: never

    @property
    def gradient_steps(self) -> int:
        """Gradient steps of the whole method."""
        return self.steps


@dataclass(frozen=True)
class Problem:
    """Training and validation rows, the groups' names, and the random stream of the run.

    `trained` says that the network comes with trained weights, which then are a candidate of the selection;
    `synthetic` holds selected images for the methods that mix them into the training rows; `work` is where an interrupted
    training goes on from.
    """

    train: Rows
    validation: Rows
    groups: list[str]
    seed: int
    trained: bool = False
    synthetic: Rows | None = None
    work: Work | None = None

    def kept(self, phase: str, state: Sequence[torch.Tensor] = ()) -> "Kept | None":
        """How one phase of the training is kept, with the tensors that change beside the network; None without a folder."""
        if self.work is None:
            return None
        parts = {"train": self.train, "validation": self.validation}
        seen = {name: digest(*rows.content()) for name, rows in parts.items()}
        return Kept(self.work.part(phase), seen, list(state))


@dataclass(frozen=True)
class Kept:
    """Where checkpoints of a training lie, hashes of what it depends on, and what changes beside the network."""

    work: Work
    inputs: dict[str, str]
    state: list[torch.Tensor]


def selection_score(logits: torch.Tensor, rows: Rows, select: str) -> tuple[float, ...]:
    """The figures of `SCORES[select]`: worst-group and balanced accuracy over the groups present, or plain accuracy."""
    right = (logits.argmax(1) == rows.target).float()
    if select == "average":
        return (right.mean().item(),)
    accuracies = [right[rows.group == g].mean().item() for g in rows.group.unique()]
    return min(accuracies), sum(accuracies) / len(accuracies)


class Best:
    """The best weights seen: by the figures of `SCORES[select]` in their order, then the earlier step.

    `notes` is what else a method has to say, `unspent` the steps that an early stop left out.
    """

    def __init__(self, select: str = "groups", score: tuple[float, ...] = (), notes: dict[str, Any] | None = None):
        self.select, self.notes, self.unspent = select, notes or {}, 0
        self.state: dict[str, torch.Tensor] = {}
        self._record = torch.tensor([0.0, *(score or [-1.0] * len(SCORES[select]))], dtype=torch.float64)

    @property
    def step(self) -> int:
        """The step of the best weights."""
        return int(self._record[0])

    @property
    def score(self) -> tuple[float, ...]:
        """Their figures."""
        return tuple(self._record[1:].tolist())

    def tensors(self, module: torch.nn.Module) -> list[torch.Tensor]:
        """All that changes when weights of the module are offered, for a checkpoint to restore in place."""
        self.state = {name: x.detach().clone() for name, x in module.state_dict().items()}
        return [self._record, *self.state.values()]

    def offer(self, score: tuple[float, ...], step: int, module: torch.nn.Module) -> None:
        """Keep the module's weights if the score beats all before it."""
        if score > self.score:
            self._record.copy_(torch.tensor([step, *score], dtype=torch.float64))
            for name, x in module.state_dict().items():
                self.state[name] = self.state[name].copy_(x) if name in self.state else x.detach().clone()

    def stops(self, step: int, recipe: Recipe) -> bool:
        """Whether the last `patience` looks have found nothing better, so that training ends at this step."""
        if not recipe.patience or step - self.step < recipe.patience * recipe.evaluate_every:
            return False
        self.unspent = recipe.steps - step
        return True

    def facts(self) -> dict[str, Any]:
        """What was selected, and the method's notes."""
        return {"selected_step": self.step, **dict(zip(SCORES[self.select], self.score, strict=True)), **self.notes}


def weighted_batches(weights: torch.Tensor, size: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Endless batches of row numbers, drawn with replacement in proportion to the rows' weights (n,).

    By the inverse of their sums in float64: exact, and not limited to 2²⁴ rows as `torch.multinomial` is.
    """
    sums = weights.double().cumsum(0)
    while True:
        drawn = torch.rand(size, dtype=torch.float64, generator=generator) * sums[-1]
        yield torch.searchsorted(sums, drawn, right=True)


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
    kept: Kept | None = None,
) -> Iterator[int]:
    """Train all weights on augmented batches; yields the number of each step that is done.

    `weights` (n,) makes the batches draw rows in that proportion. With `kept` it goes on from an interrupted training.
    """
    optimizer, schedule = optimiser(network.parameters(), recipe)
    uniform = Batches(len(rows), recipe.batch, generator)
    plan = uniform if weights is None else weighted_batches(weights, recipe.batch, generator)
    state = [*network.state_dict().values()]
    changing = {"state": state, "more": kept.state if kept else []}
    training = Training(changing, optimizer, schedule, generator, [uniform])
    if kept:
        start = digest(*(x.detach().cpu().contiguous().numpy() for x in state))
        training.resume(kept.work, {**kept.inputs, "start": start})
    steps = range(training.step, recipe.steps)
    for _ in tqdm(steps, total=recipe.steps, initial=training.step, desc="finetune", disable=None):
        batch = next(plan)
        network.train()
        logits = network(augment(rows.pixels[batch], generator)).cpu()  # losses and group weights are small
        losses = F.cross_entropy(logits, rows.target[batch], reduction="none")
        step(objective(losses, rows.group[batch]), optimizer, schedule)
        training.step += 1
        yield training.step
        if kept:
            training.save(kept.work)


def first_network(network: Network, problem: Problem, recipe: Any) -> None:
    """Train by ERM for `recipe.identify_steps`, for the methods that learn from a first network what the second one needs."""
    generator = torch.Generator().manual_seed(seed_of("identify", problem.seed))
    first, kept = replace(recipe, steps=recipe.identify_steps), problem.kept("identify")
    for _ in descend(network, problem.train, first, mean_loss, generator, kept=kept):
        pass


def fit_all(
    network: Network,
    problem: Problem,
    recipe: Recipe,
    objective: Objective = mean_loss,
    weights: torch.Tensor | None = None,
    state: Sequence[torch.Tensor] = (),
) -> Best:
    """Train all weights (see `descend`); the network ends with the selected weights.

    `state` is what the objective changes in place.
    """
    generator, best = torch.Generator().manual_seed(problem.seed), Best(recipe.select)
    kept = problem.kept("train", [*best.tensors(network), *state])

    def look(number: int) -> None:
        logits = predict(network, problem.validation.pixels)
        best.offer(selection_score(logits, problem.validation, recipe.select), number, network)

    if problem.trained:
        look(0)
    for number in descend(network, problem.train, recipe, objective, generator, weights, kept):
        if number % recipe.evaluate_every == 0 or number == recipe.steps:
            look(number)
            if best.stops(number, recipe):
                break
    network.load_state_dict(best.state)
    return best
