"""The loop that moves weights: steps whose gradients are not finite."""

import dataclasses
from collections.abc import Callable, Sequence

import pytest
import torch
from adapting import adapt_settings, changed

from fairgen.core.batches import Batches
from fairgen.core.errors import FairgenError
from fairgen.generate import training_loop
from fairgen.generate.denoising import Noised
from fairgen.generate.training_loop import Task, clip_gradients, fit
from fairgen.models import base_model

STEPS = 6


class Overflow(torch.autograd.Function):
    """1, with a gradient that is too large for any number."""

    @staticmethod
    def forward(ctx: object, x: torch.Tensor) -> torch.Tensor:
        return torch.ones_like(x)

    @staticmethod
    def backward(ctx: object, gradient: torch.Tensor) -> torch.Tensor:
        return torch.full_like(gradient, torch.inf)


def trained(base: base_model.Base, dtype: str, overflows: Sequence[int]) -> torch.Tensor:
    """One weight after so many steps, of which some overflow."""
    settings = changed(adapt_settings("lora", dataclasses.replace(base, dtype=dtype)), steps=STEPS, ema=0)
    weight, generator = torch.nn.Parameter(torch.ones(1)), torch.Generator().manual_seed(0)
    done = iter(range(STEPS))

    def losses(batch: Noised) -> torch.Tensor:
        number = next(done)
        return (Overflow.apply(weight) if number in overflows else weight * 2).sum()

    def next_batch() -> Noised:
        return Noised(*(torch.zeros(1) for _ in range(5)))

    step: Callable = clip_gradients
    task = Task("g/0", ["g/0"], [weight], generator, [Batches(1, 1, generator)], next_batch, losses, step)
    fit(settings, task)
    return weight.detach()


def test_a_step_that_overflows_in_float16_is_skipped(
    base: base_model.Base, caplog: pytest.LogCaptureFixture
) -> None:
    """The weights are what they were, and training goes on."""
    found = trained(base, "float16", [1, STEPS - 1])
    assert torch.isfinite(found).all()
    assert found < 1
    assert "step 2 overflows and is skipped" in caplog.text


@pytest.mark.parametrize("number", [1, STEPS - 1])
def test_in_other_precisions_a_gradient_that_is_not_finite_ends_the_run(
    base: base_model.Base, number: int
) -> None:
    """In the last step too, after which no loss would tell."""
    with pytest.raises(FairgenError, match=r"gradients are not finite; lower adapt\.lora\.lr$"):
        trained(base, "float32", [number])


def test_overflows_without_end_end_the_run(base: base_model.Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_loop, "MOST_SKIPPED", 2)
    with pytest.raises(FairgenError, match=r"gradients are not finite; .* diffusion\.dtype: bfloat16"):
        trained(base, "float16", range(STEPS))
