"""Flow matching (rectified flow, arXiv 2209.03003): straight lines from latents x0 to noise,
x_σ = (1 − σ)·x0 + σ·noise, along which the denoiser answers noise − x0.

Its time steps are 1,000·σ. Where a base shifts σ by a constant, that is in the scheduler's table; where the
shift depends on the picture's size, only sampling has it, by a μ that each architecture computes (`Grid`).
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from fairgen.core.errors import FairgenError
from fairgen.models import parts
from fairgen.models.base_model import Base
from fairgen.models.lazy_imports import lean
from fairgen.models.pipelines import EULER
from fairgen.models.process import Noising, Sampler

# from the scheduler's config, the number of steps and the shape of the latents to what its `set_timesteps`
# takes
Grid = Callable[[Any, int, torch.Size], dict[str, Any]]
MODE = 1.29  # how far the scheme `mode` leans to the middle (arXiv 2403.03206, eq. 20)


def shifted(sigma: torch.Tensor, shift: float) -> torch.Tensor:
    """More noise for shifts over 1: sσ / (1 + (s − 1)σ) (arXiv 2403.03206, eq. 23)."""
    return shift * sigma / (1 + (shift - 1) * sigma)


def even(steps: int) -> np.ndarray:
    """σ from 1 to 1/n in even steps; the last one, 0, is the scheduler's own."""
    return np.linspace(1, 1 / steps, steps)


def linear_mu(config: Any, tokens: int) -> float:
    """μ on the line through the two sizes, in tokens, that the scheduler's config has shifts for."""
    low, high = config["base_image_seq_len"], config["max_image_seq_len"]
    slope = (config["max_shift"] - config["base_shift"]) / (high - low)
    return config["base_shift"] + slope * (tokens - low)


def quantiles(weighting: str, count: int, generator: torch.Generator) -> torch.Tensor:
    """Where on the table of time steps a batch is, in [0, 1) (arXiv 2403.03206, section 3.1)."""
    if weighting == "logit_normal":
        return torch.randn(count, generator=generator).sigmoid()
    u = torch.rand(count, generator=generator)
    if weighting == "mode":
        return 1 - u - MODE * ((torch.pi * u / 2).cos() ** 2 - 1 + u)
    return u


def loss_weights(weighting: str, sigma: torch.Tensor) -> torch.Tensor:
    """The weight of each σ in the loss: 1 for the schemes that choose among the time steps instead."""
    if weighting == "cosmap":
        return 2 / (torch.pi * (1 - 2 * sigma + 2 * sigma**2))
    return torch.ones_like(sigma)


class FlowSampler(Sampler):
    """Euler's method on a grid of σ: x += (σ' − σ)·v."""

    def __init__(self, scheduler: Any, grid: Grid):
        super().__init__(scheduler)
        self.grid = grid

    def begin(self, steps: int, noise: torch.Tensor) -> tuple["FlowSampler", torch.Tensor]:
        """A run of so many steps, and the latents (n, c, h, w) that it starts from."""
        run = FlowSampler(copy.deepcopy(self.scheduler), self.grid)
        options = self.grid(self.scheduler.config, steps, noise.shape)
        run.scheduler.set_timesteps(**options, device=noise.device)
        run.scheduler.set_begin_index(0)
        return run, noise

    def levels(self) -> list[float]:
        """σ at each step of a run."""
        return (self.steps.cpu().double() / self.scheduler.config.num_train_timesteps).tolist()

    def scaled(self, latents: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        """The latents as they are."""
        return latents


class Flow:
    """Straight lines to normal noise; chance comes from the CPU's generator, the same on every device.

    Raises:
        FairgenError: the base has another schedule.
    """

    def __init__(self, base: Base, grid: Grid):
        with lean():
            from diffusers.schedulers.scheduling_flow_match_euler_discrete import (
                FlowMatchEulerDiscreteScheduler,
            )

        own = parts.config(FlowMatchEulerDiscreteScheduler, base, "scheduler")
        if own.get("_class_name") != FlowMatchEulerDiscreteScheduler.__name__:
            raise FairgenError(
                f"diffusion.model: the schedule of {base.model} is a {own.get('_class_name')}, and its parts"
                f" are trained by flow matching ({FlowMatchEulerDiscreteScheduler.__name__}); give"
                " another base"
            )
        self.scheduler = parts.load_part(FlowMatchEulerDiscreteScheduler, base, "scheduler")
        self.model, self.grid, self.count = base.model, grid, self.scheduler.config.num_train_timesteps

    def check(self, asked: Noising) -> None:
        """Refuse what belongs to the other process.

        Raises:
            FairgenError: min-SNR weights or offset noise are asked for.
        """
        for key in ("min_snr", "offset_noise"):
            if getattr(asked, key):
                raise FairgenError(
                    f"adapt.{key}: {self.model} is trained by flow matching, which has none; set {key}: 0"
                )

    def noise(self, clean: torch.Tensor, asked: Noising, generator: torch.Generator) -> torch.Tensor:
        """Normal noise."""
        return torch.randn(clean.shape, generator=generator)

    def steps(self, count: int, asked: Noising, generator: torch.Generator) -> torch.Tensor:
        """Time steps of the scheduler's table, which falls from 1,000, shifted once more where that is asked
        for.
        """
        place = (quantiles(asked.weighting, count, generator) * self.count).long().clamp(0, self.count - 1)
        return shifted(self.scheduler.sigmas[place], asked.shift) * self.count

    def steps_at(self, level: float, count: int) -> torch.Tensor:
        """That share of the scheduler's table, which falls from noise."""
        place = round((1 - level) * (self.count - 1))
        return (self.scheduler.sigmas[place] * self.count).expand(count)

    def noised(self, clean: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        """(1 − σ)·x0 + σ·noise."""
        sigma = (steps / self.count).view(-1, 1, 1, 1)
        return (1 - sigma) * clean + sigma * noise

    def target(self, clean: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        """Noise − x0."""
        return noise - clean

    def weights(self, steps: torch.Tensor, asked: Noising) -> torch.Tensor:
        """Those of the scheme."""
        return loss_weights(asked.weighting, steps / self.count)

    def sampler(self, kind: str) -> Sampler:
        """Euler's method.

        Raises:
            FairgenError: another solver is asked for.
        """
        if kind != EULER:
            raise FairgenError(
                f"solver.scheduler: {self.model} is sampled by {EULER}, and {kind} is for Stable Diffusion"
                f" 1.x, 2.x and XL; set scheduler: {EULER} under sample.solver and prior.solver"
            )
        return FlowSampler(self.scheduler, self.grid)
