"""What moves the weights of an adapter: AdamW, the schedule of its learning rate, and a running mean."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from fairgen.core.errors import FairgenError
from fairgen.generate.recipe import Adapt, Recipe


def adamw(
    weights: list[torch.nn.Parameter], settings: Adapt, text: Sequence[torch.nn.Parameter] = ()
) -> torch.optim.Optimizer:
    """AdamW (arXiv 1711.05101), its moments in 32 or 8 bits; `text` has a learning rate of its own.

    Raises:
        FairgenError: 8 bits are asked for, and bitsandbytes is not installed.
    """
    options = {"lr": settings.recipe.lr, "weight_decay": 1e-2}
    groups = [{"params": weights}, *([{"params": list(text), "lr": settings.recipe.text_lr}] if text else [])]
    if settings.recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, **options, fused=True)
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise FairgenError(
            f"adapt.{settings.kind}.optimizer: adamw8bit needs the package bitsandbytes ({error}); install"
            " it (pip install bitsandbytes) or set adamw"
        ) from error
    return AdamW8bit(groups, **options)


def lr_schedule(optimizer: torch.optim.Optimizer, recipe: Recipe) -> torch.optim.lr_scheduler.LRScheduler:
    """One of diffusers' schedules over the whole run; its plain constant one would know no warmup."""
    from diffusers.optimization import get_scheduler

    name = "constant_with_warmup" if recipe.schedule == "constant" else recipe.schedule
    return get_scheduler(name, optimizer, num_warmup_steps=recipe.warmup, num_training_steps=recipe.steps)


class RunningMean:
    """Exponential moving average of trainable weights, with a decay that starts low: min(decay, (1 + t) / (10
    + t)).
    """

    def __init__(self, weights: list[torch.nn.Parameter], decay: float):
        self.weights, self.decay = weights, decay
        self.mean = [w.detach().clone() for w in weights] if decay else []

    @torch.no_grad()
    def update(self, steps: int) -> None:
        """Take in the weights after so many steps."""
        if self.mean:
            torch._foreach_lerp_(
                self.mean, list(self.weights), 1 - min(self.decay, (1 + steps) / (10 + steps))
            )

    @contextmanager
    def installed(self) -> Iterator[None]:
        """The average in the place of the weights for a while; the two change places, nothing is copied."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for weight, mean in zip(self.weights, self.mean, strict=False):
            weight.data, mean.data = mean.data, weight.data

    @torch.no_grad()
    def install(self) -> None:
        """Put the average in the place of the weights."""
        for weight, mean in zip(self.weights, self.mean, strict=False):
            weight.copy_(mean)
