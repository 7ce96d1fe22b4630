"""The loss of a generator on images that it is not trained on, at fixed noise levels, and the early choice of
its step by that loss.

Training loss says little: noise and time steps are drawn anew at every step, and their spread hides what is
learnt. On the same images under the same noise two looks can be compared.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from fairgen.core import job
from fairgen.core.errors import FairgenError
from fairgen.core.seeds import seed_of
from fairgen.generate.denoising import Noised, row_losses
from fairgen.generate.latents import Latents
from fairgen.generate.recipe import Adapt
from fairgen.models import regions
from fairgen.models.base_model import Base
from fairgen.models.conditioning import Conditioning
from fairgen.models.parts import Encoders
from fairgen.models.process import Process

LEVELS = (0.2, 0.4, 0.6, 0.8)  # shares of the schedule's time steps, from the clean image to noise
LOOKS = 10  # after training has begun, evenly spaced, the last step included
IMAGES = 16  # of a cluster that are looked at, at most


def looking_steps(steps: int) -> set[int]:
    """After which steps of a run the held-out images are looked at; 0 stands for before the first."""
    return {round(steps * i / LOOKS) for i in range(LOOKS + 1)}


@dataclass(frozen=True)
class Unseen:
    """Held-out images of one adapter (n, h, w, 3) uint8 with their origins (n, 4)."""

    pixels: np.ndarray
    origins: np.ndarray


class Levels:
    """Held-out images at every noise level, in batches; the noise comes from the images' own seed."""

    def __init__(self, process: Process, vae: torch.nn.Module, unseen: Unseen, settings: Adapt, name: str):
        latents = Latents(vae, unseen.pixels, unseen.origins)
        count = len(latents) // 2  # the other half are their mirror images
        clean, sizes = latents.mean[:count], latents.time_ids[:count]
        generator = torch.Generator().manual_seed(seed_of("held-out", settings.seed, name))
        noise = torch.randn(clean.shape, generator=generator)
        self.count = count
        self.batches: list[list[Noised]] = []
        for level in LEVELS:
            steps = process.steps_at(level, count)
            inputs, target = process.noised(clean, noise, steps), process.target(clean, noise, steps)
            whole, size = (inputs, steps, sizes, target, torch.ones(count)), settings.recipe.batch
            parts = zip(*(x.split(size) for x in whole), strict=True)
            self.batches.append([Noised(*part) for part in parts])

    @torch.no_grad()
    def losses(self, unet: torch.nn.Module, text: Conditioning, settings: Adapt) -> list[float]:
        """The mean squared error at each level, under one prompt (the first row of `text`)."""
        row = text[:1].to(unet.device)  # states of many prompts wait on the CPU

        def of(batch: Noised) -> torch.Tensor:
            return row_losses(unet, batch, row.expand(len(batch.steps)), settings).double().sum()

        return [float(sum(of(batch) for batch in level)) / self.count for level in self.batches]


@dataclass
class Looks:
    """How the adapters of a run are looked at: each with the others switched off (`alone`), in evaluation
    mode, under the prompt with the rare token.
    """

    unet: torch.nn.Module
    levels: list[Levels | None]  # of each adapter; None: no image of its group is held out
    text: Callable[[], Conditioning]
    settings: Adapt
    alone: Callable[[int], AbstractContextManager[Any]] = field(default=lambda number: nullcontext())

    def losses(self) -> list[list[float]]:
        """For each adapter the loss at every level; empty for one without held-out images.

        What is looked at for curves alone (there is no memory left for it) ends the looking, and not the job.
        """
        try:
            return self._losses()
        except RuntimeError as error:
            if self.settings.select == "held_out":
                raise
            job.warn(f"no more losses on held-out images in the curves ({error})")
            self.levels = [None] * len(self.levels)
            return [[] for _ in self.levels]

    def _losses(self) -> list[list[float]]:
        with evaluating(self.unet):
            text, found = self.text(), []
            for number, levels in enumerate(self.levels):
                with self.alone(number):
                    found.append(levels.losses(self.unet, text, self.settings) if levels else [])
            return found


@contextmanager
def evaluating(network: torch.nn.Module) -> Iterator[None]:
    """A network in evaluation mode, without gradients, nothing compiled; random streams are left as they
    are.
    """
    with torch.no_grad(), torch.random.fork_rng(), regions.uncompiled():
        network.eval()
        try:
            yield
        finally:
            network.train()


@dataclass(frozen=True)
class Preview:
    """What sample images are drawn with while adapters are trained."""

    unet: torch.nn.Module
    base: Base
    settings: Adapt
    prompt: str
    encoders: Encoders  # those that are trained along; none: the base's own, which have made `text`
    text: Conditioning | None  # of the prompt and of the empty one
    images: Sequence[np.ndarray]  # of each adapter those that it is trained on
    unseen: Sequence[Unseen | None]  # and those that it is not
    alone: Callable[[int], AbstractContextManager[Any]]


def relative(losses: list[float], first: list[float]) -> float:
    """The mean over the levels of the loss, each as a share of what it was before training; NaN where that
    was 0.
    """
    shares = [loss / start if start else np.nan for loss, start in zip(losses, first, strict=True)]
    return float(np.mean(shares))


class Choice:
    """For each adapter the weights of the look with the lowest held-out loss; earlier wins a tie.

    Args:
        weights: what is trained; of several adapters (`runs`) stacks of their matrices.
        first: their losses before training.
    """

    def __init__(self, weights: Sequence[torch.nn.Parameter], first: list[list[float]]):
        self.weights, self.runs = weights, len(first)
        self.best = [w.detach().clone() for w in weights]
        # before training, step and score of the best look, for every adapter
        self.first = torch.tensor(first, dtype=torch.float64)
        self.record = torch.tensor([[0.0, 1.0]] * self.runs, dtype=torch.float64)

    @property
    def tensors(self) -> list[torch.Tensor]:
        """All that changes, for a checkpoint to restore in place."""
        return [self.first, self.record, *self.best]

    @property
    def steps(self) -> list[int]:
        """The step that is chosen for each adapter."""
        return [int(step) for step in self.record[:, 0]]

    @torch.no_grad()
    def offer(self, number: int, losses: list[list[float]]) -> None:
        """Keep the present weights of those adapters whose loss has never been lower.

        Raises:
            FairgenError: a loss is not finite.
        """
        for run, own in enumerate(losses):
            score = relative(own, self.first[run].tolist())
            if not np.isfinite(score):
                raise FairgenError(
                    f"adapt.select: held_out: the loss on held-out images is not finite after {number} steps;"
                    " lower the learning rate, or set diffusion.dtype: bfloat16 or float32"
                )
            if score < self.record[run, 1]:
                self.record[run] = torch.tensor([number, score], dtype=torch.float64)
                for best, weight in zip(self.best, self.weights, strict=True):
                    (best if self.runs == 1 else best[run]).copy_(weight if self.runs == 1 else weight[run])

    @torch.no_grad()
    def install(self) -> None:
        """Put the chosen weights in their place."""
        for weight, best in zip(self.weights, self.best, strict=True):
            weight.copy_(best)
