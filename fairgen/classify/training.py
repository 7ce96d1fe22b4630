"""What the classifier methods share: the data of a run, the loop over minibatches, and selection on
validation rows.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.nn import functional as F

from fairgen.classify.examples import Examples
from fairgen.classify.model_selection import Best, selection_score
from fairgen.classify.problem import Problem
from fairgen.classify.recipe import Optimisation, Recipe
from fairgen.core import callback
from fairgen.core.batches import Batches
from fairgen.core.checkpoint import TrainingState
from fairgen.core.errors import FairgenError
from fairgen.core.progress import counted
from fairgen.core.seeds import seed_of
from fairgen.core.workfolder import Resume, digest
from fairgen.models.classifier import Network, augment, predict

# per-sample losses (n,) and groups (n,) to one loss
Objective = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def weighted_batches(weights: torch.Tensor, size: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Endless batches of row numbers, drawn with replacement in proportion to the rows' weights (n,).

    By the inverse of their sums in float64: exact, and not limited to 2²⁴ rows as `torch.multinomial` is.
    """
    sums = weights.double().cumsum(0)
    while True:
        drawn = torch.rand(size, dtype=torch.float64, generator=generator) * sums[-1]
        yield torch.searchsorted(sums, drawn, right=True)


def group_weights(groups: torch.Tensor, count: int) -> torch.Tensor:
    """Weight (count,) of each group in inverse proportion to its rows, one on average over the rows (n,); 0
    without rows.
    """
    sizes = torch.bincount(groups, minlength=count).float()
    return torch.where(sizes > 0, len(groups) / ((sizes > 0).sum() * sizes), 0.0)


def optimizer_and_schedule(weights: Iterable[torch.nn.Parameter], recipe: Optimisation) -> tuple[Any, Any]:
    """The recipe's optimizer with a cosine schedule to zero; SGD has a momentum of 0.9."""
    options = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    chosen: torch.optim.Optimizer
    if recipe.optimizer == "sgd":
        chosen = torch.optim.SGD(weights, momentum=0.9, **options, fused=True)
    else:
        chosen = torch.optim.AdamW(weights, **options, fused=True)
    return chosen, torch.optim.lr_scheduler.CosineAnnealingLR(chosen, recipe.steps)


def step(loss: torch.Tensor, optimizer: Any, schedule: Any, number: int) -> None:
    """One update, the run's `number`th.

    Raises:
        FairgenError: the loss is not finite.
    """
    if not torch.isfinite(loss):
        raise FairgenError("the classifier's loss is not finite; lower its learning rate in the config")
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norms, rate = gradient_norm(optimizer, number), optimizer.param_groups[0]["lr"]
    optimizer.step()
    schedule.step()
    callback.current.step(number, [loss.item()], norms, rate)


def gradient_norm(optimizer: Any, number: int) -> list[float]:
    """The norm of all gradients at a step for which it is asked, else nothing."""
    if not callback.current.wants_norm(number):
        return []
    weights = (weight for group in optimizer.param_groups for weight in group["params"])
    return [torch.nn.utils.get_total_norm([w.grad for w in weights if w.grad is not None]).item()]


def mean_loss(losses: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    """The objective of empirical risk minimisation."""
    return losses.mean()


def from_weights(resume: Resume, weights: Sequence[torch.Tensor]) -> Resume:
    """The same, for a training that starts from these weights and goes on only where it did."""
    start = digest(*(x.detach().cpu().contiguous().numpy() for x in weights))
    return replace(resume, inputs={**resume.inputs, "start": start})


def descend(
    network: Network,
    rows: Examples,
    recipe: Optimisation,
    objective: Objective,
    generator: torch.Generator,
    weights: torch.Tensor | None = None,
    resume: Resume | None = None,
    state: Sequence[torch.Tensor] = (),
    phase: str = "train",
) -> Iterator[int]:
    """Train all weights on augmented batches; yields the number of each step that is done.

    `weights` (n,) makes the batches draw rows in that proportion. With `resume` it goes on from an
    interrupted training; `state` is what changes in place beside the network. `phase` names it in its curves.
    """
    optimizer, schedule = optimizer_and_schedule(network.parameters(), recipe)
    uniform = Batches(len(rows), recipe.batch, generator)
    plan = uniform if weights is None else weighted_batches(weights, recipe.batch, generator)
    own = [*network.state_dict().values()]
    training = TrainingState({"state": own, "more": list(state)}, optimizer, schedule, generator, [uniform])
    if resume:
        training.resume(from_weights(resume, own))
    callback.current.begin(phase, [""], recipe.steps, training.notes)
    steps = range(training.step, recipe.steps)
    for _ in counted(steps, recipe.steps, "finetune", done=training.step):
        batch = next(plan)
        network.train()
        logits = network(augment(rows.pixels[batch], generator)).cpu()  # losses and group weights are small
        losses = F.cross_entropy(logits, rows.target[batch], reduction="none")
        training.step += 1
        step(objective(losses, rows.group[batch]), optimizer, schedule, training.step)
        yield training.step
        if resume:
            training.save(resume.work)


def first_network(network: Network, problem: Problem, recipe: Any) -> None:
    """Train by ERM for `recipe.identify_steps`, for the methods that learn from a first network what the
    second one needs.
    """
    generator = torch.Generator().manual_seed(seed_of("identify", problem.seed))
    first = replace(recipe, steps=recipe.identify_steps)
    resume, phase = problem.resume("identify"), "identify"
    for _ in descend(network, problem.train, first, mean_loss, generator, resume=resume, phase=phase):
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
    resume, changing = problem.resume("train"), [*best.tensors(network), *state]

    def look(number: int) -> None:
        logits = predict(network, problem.validation.pixels)
        best.offer(selection_score(logits, problem.validation, recipe.select), number, network)

    callback.current.next_phase()
    if problem.trained:
        look(0)
    for number in descend(network, problem.train, recipe, objective, generator, weights, resume, changing):
        if number % recipe.evaluate_every == 0 or number == recipe.steps:
            look(number)
            if best.stops(number, recipe):
                break
    network.load_state_dict(best.state)
    callback.current.selected([best.step])
    return best
