"""What every training loop does: seeds, rates, gradients, and whose rows choose the weights."""

import math
from dataclasses import replace
from types import ModuleType

import pytest
import torch
from problems import TINY, recipe

from fairgen.classify import training
from fairgen.classify.methods import erm, head, jtt
from fairgen.classify.problem import Problem
from fairgen.classify.recipe import Optimisation
from fairgen.core.errors import FairgenError
from fairgen.models.classifier import build

LOOPS = pytest.mark.parametrize("module", [erm, head], ids=["all weights", "head"])


def descent() -> tuple[torch.nn.Parameter, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """A weight of one and ten steps of gradient descent."""
    weight = torch.nn.Parameter(torch.ones(1))
    return weight, *training.optimizer_and_schedule([weight], Optimisation(10, 1, 0.1, 0.0, "sgd"))


def misleading(problem: Problem) -> Problem:
    """The problem with the wrong labels in its validation rows."""
    rows = problem.validation
    return replace(problem, validation=replace(rows, target=1 - rows.target))


def test_the_rate_falls_to_nothing_as_half_a_cosine() -> None:
    _, optimizer, schedule = descent()
    rates = []
    for _ in range(10):
        optimizer.step()
        schedule.step()
        rates += schedule.get_last_lr()
    assert (rates[4], rates[9]) == (pytest.approx(0.05), pytest.approx(0, abs=1e-12))


def test_gradients_do_not_add_up_over_steps() -> None:
    weight, optimizer, schedule = descent()
    for number in (1, 2):
        training.step(3 * weight.sum(), optimizer, schedule, number)
    assert weight.grad is not None and weight.grad.item() == 3


def test_a_loss_that_is_not_finite_ends_the_training_before_it_changes_a_weight() -> None:
    weight, optimizer, schedule = descent()
    with pytest.raises(FairgenError, match="loss is not finite; lower its learning rate"):
        training.step(weight.sum() * math.inf, optimizer, schedule, 1)
    assert weight.item() == 1


def test_the_loss_of_a_batch_is_the_mean() -> None:
    assert training.mean_loss(torch.tensor([1.0, 3.0]), torch.tensor([0, 1])).item() == 2


@LOOPS
def test_the_order_of_rows_is_the_seeds(module: ModuleType, problem: Problem) -> None:
    def trained(seed: int) -> torch.Tensor:
        network = build(TINY, 2, 0)
        module.train(network, replace(problem, seed=seed), recipe(steps=3, evaluate_every=3, lr=0.1))
        return network.head.weight.detach()

    one = trained(0)
    assert torch.equal(one, trained(0)) and not torch.equal(one, trained(1))


def test_the_first_network_of_two_has_the_seed_too(problem: Problem) -> None:
    def trained(seed: int) -> torch.Tensor:
        network = build(TINY, 2, 0)
        own = recipe(jtt, steps=2, identify_steps=2)
        training.first_network(network, replace(problem, seed=seed), own)
        return network.head.weight.detach()

    one = trained(0)
    assert torch.equal(one, trained(0)) and not torch.equal(one, trained(1))


@LOOPS
def test_weights_are_chosen_by_validation_rows(module: ModuleType, problem: Problem) -> None:
    rate = 3e-3 if module is erm else 0.1
    assert module.train(build(TINY, 2, 0), misleading(problem), recipe(lr=rate)).score[0] < 0.1


def test_the_chosen_weights_are_the_networks_in_the_end(problem: Problem) -> None:
    """By these rows no step is better than none."""
    network = build(TINY, 2, 0)
    before = network.head.weight.detach().clone()
    best = head.train(network, misleading(problem), recipe(steps=20, lr=0.1))
    assert best.step == 0
    assert torch.equal(network.head.weight, before)


def test_images_are_augmented_and_norms_learn_of_them(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def watched(pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        seen.append(len(pixels))
        return pixels.float()

    monkeypatch.setattr(training, "augment", watched)
    network = build(TINY, 2, 0)
    before = {k: v.clone() for k, v in network.named_buffers() if k.endswith("running_mean")}
    erm.train(network, problem, recipe(steps=2, evaluate_every=2))
    assert seen == [16, 16]
    assert before and all(not torch.equal(v, before[k]) for k, v in network.named_buffers() if k in before)


@pytest.mark.parametrize("trained", [False, True])
def test_a_start_is_a_candidate_if_it_has_been_trained(
    problem: Problem, monkeypatch: pytest.MonkeyPatch, trained: bool
) -> None:
    looks, of = [], training.selection_score

    def watched(*given: object) -> tuple[float, ...]:
        looks.append(1)
        return of(*given)

    monkeypatch.setattr(training, "selection_score", watched)
    erm.train(build(TINY, 2, 0), replace(problem, trained=trained), recipe(steps=10))
    assert len(looks) == 1 + trained
