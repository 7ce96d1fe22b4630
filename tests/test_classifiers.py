"""Losses and methods on problems whose answer is known."""

import math

import pytest
import torch

from fairgen.errors import FairgenError
from fairgen.losses import supcon
from fairgen.methods import erm, groupdro, head
from fairgen.models.classifier import Classifier, augment, build, predict
from fairgen.training import Best, Problem, Recipe, Rows

TINY = Classifier("resnet10t", {"channels": [8, 8, 16, 16], "stem_width": 8}, False, 32)


def coloured(n: int, seed: int) -> Rows:
    """Two classes: dark and bright pictures; the group is the class."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.arange(n) % 2
    pixels = torch.randint(0, 100, (n, 3, 32, 32), generator=generator) + 150 * target[:, None, None, None]
    return Rows(pixels.to(torch.uint8), target, target.clone())


@pytest.fixture
def problem() -> Problem:
    return Problem(coloured(64, 0), coloured(32, 1), ["dark", "bright"], 0)


def test_supcon_by_hand() -> None:
    """Three unit vectors, two of one class: each of the two sees one positive and one negative (eq. 2)."""
    z = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    labels = torch.tensor([0, 0, 1])
    first = -math.log(math.exp(0) / (math.exp(0) + math.exp(-1 / 0.5)))
    second = -math.log(math.exp(0) / (math.exp(0) + math.exp(0)))
    assert supcon(z, labels, 0.5).item() == pytest.approx((first + second) / 2, rel=1e-5)
    assert supcon(5 * z, labels, 0.5).item() == pytest.approx(supcon(z, labels, 0.5).item())


def test_supcon_without_positives_is_zero_with_a_live_graph() -> None:
    z = torch.randn(3, 4, requires_grad=True)
    loss = supcon(z, torch.tensor([0, 1, 2]), 0.1)
    loss.backward()
    assert loss.item() == 0
    assert z.grad.abs().sum() == 0


def test_supcon_gradient() -> None:
    z = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: supcon(x, torch.tensor([0, 0, 1, 1, 1, 2]), 0.5), (z,))


def test_group_dro_weights_move_to_the_worst_group() -> None:
    objective = groupdro.GroupDro(torch.tensor([10, 10, 10]), 0.5)
    losses, groups = torch.tensor([0.1, 2.0, 2.0, 0.5]), torch.tensor([0, 1, 1, 2])
    for _ in range(20):
        value = objective(losses, groups)
    assert objective.q.argmax() == 1
    assert objective.q[1] > 0.99
    assert value.item() == pytest.approx(2.0, abs=0.02)


def test_group_dro_adjustments_favour_small_groups() -> None:
    objective = groupdro.GroupDro(torch.tensor([400, 4]), 0.1, 1.0)
    for _ in range(10):
        objective(torch.tensor([0.5, 0.5]), torch.tensor([0, 1]))
    assert objective.q[1] > objective.q[0]


def test_group_dro_refuses_an_empty_group(problem: Problem) -> None:
    wrong = Problem(problem.train, problem.validation, ["dark", "bright", "grey"], 0)
    with pytest.raises(FairgenError, match="group grey has no training image"):
        groupdro.train(build(TINY, 2, 0), wrong, Recipe(1, 8, 1e-3, 0, 1, 0.01))


@pytest.mark.parametrize("method", [erm, groupdro])
def test_methods_learn_an_easy_problem(method: object, problem: Problem) -> None:
    network = build(TINY, 2, 0)
    best = method.train(network, problem, Recipe(30, 16, 3e-3, 0, 10, 0.01))
    assert best.score[0] > 0.9
    logits = predict(network, problem.validation.pixels)
    assert (logits.argmax(1) == problem.validation.target).float().mean() > 0.9


def test_head_changes_the_head_only_and_may_keep_it(problem: Problem) -> None:
    network = build(TINY, 2, 0)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    best = head.train(network, problem, Recipe(50, 16, 1e-1, 0, 10))
    changed = {k for k, v in network.state_dict().items() if not torch.equal(v, before[k])}
    assert all(name.startswith("net.fc") for name in changed)
    assert best.step > 0
    assert head.train(build(TINY, 2, 0), problem, Recipe(1, 16, 1e-12, 0, 1)).step == 0


def test_selection_prefers_worst_group_then_balanced_then_earlier() -> None:
    module, best = torch.nn.Linear(1, 1), Best()
    for step, score in enumerate([(0.5, 0.6), (0.5, 0.7), (0.5, 0.7), (0.4, 0.9)]):
        best.offer(score, step, module)
    assert (best.step, best.score) == (1, (0.5, 0.7))


def test_augmentation_keeps_shape_and_range() -> None:
    x = torch.randint(0, 256, (5, 3, 16, 16), dtype=torch.uint8)
    y = augment(x, torch.Generator().manual_seed(0))
    assert y.shape == x.shape
    assert y.min() >= 0 and y.max() <= 255
    assert not torch.equal(y, x.float())
