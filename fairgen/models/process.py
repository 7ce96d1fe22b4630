"""What the loops ask of a diffusion process: how noise gets into clean latents, and how it gets out again."""

import copy
from typing import Any, Protocol

import torch

from fairgen.models.spacing import check_steps


class Noising(Protocol):
    """What a finetune asks of a process; which of it a process knows, it says in `check`."""

    @property
    def min_snr(self) -> float:
        """Gamma of the min-SNR loss weight; 0 for none."""

    @property
    def offset_noise(self) -> float:
        """Part of the noise that is one number per channel; 0 for none."""

    @property
    def weighting(self) -> str:
        """How flow matching weighs its time steps."""

    @property
    def shift(self) -> float:
        """How far flow matching moves them towards noise; 1 for not at all."""


class Sampler:
    """A solver of diffusers, each run of which starts afresh."""

    def __init__(self, scheduler: Any):
        self.scheduler = scheduler

    def begin(self, steps: int, noise: torch.Tensor) -> tuple["Sampler", torch.Tensor]:
        """A run of so many steps, and the latents (n, c, h, w) that it starts from.

        Raises:
            FairgenError: they cannot be spaced.
        """
        run = Sampler(copy.deepcopy(self.scheduler))
        run.scheduler.set_timesteps(steps, device=noise.device)
        check_steps(steps, self.scheduler.config.num_train_timesteps, "solver.steps")
        return run, noise * run.scheduler.init_noise_sigma

    @property
    def steps(self) -> torch.Tensor:
        """The time steps of a run, from noise to picture."""
        return self.scheduler.timesteps

    def levels(self) -> list[float]:
        """The level of noise at each step of a run, from 0 for a clean picture to 1 for noise alone: the part
        σ/(1 + σ) that noise of spread σ has in it beside the picture.

        A time step means another σ on another schedule; this share is the same for all bases, and on the
        straight lines of flow matching it is their own σ.
        """
        clean = self.scheduler.alphas_cumprod.cpu()[self.steps.cpu().round().long()].double()
        noise, picture = (1 - clean).sqrt(), clean.sqrt()
        return (noise / (noise + picture)).tolist()

    def scaled(self, latents: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        """The latents as the denoiser wants them at this step."""
        return self.scheduler.scale_model_input(latents, step)

    def step(self, predicted: torch.Tensor, step: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """The latents after this step."""
        return self.scheduler.step(predicted, step, latents).prev_sample


class Process(Protocol):
    """A diffusion process: one line from clean latents x0 to noise, along which a denoiser is trained."""

    def check(self, asked: Noising) -> None:
        """Refuse what this process does not know.

        Raises:
            FairgenError: something is asked for that another process has.
        """

    def noise(self, clean: torch.Tensor, asked: Noising, generator: torch.Generator) -> torch.Tensor:
        """Noise of the shape of `clean` (n, c, h, w)."""

    def steps(self, count: int, asked: Noising, generator: torch.Generator) -> torch.Tensor:
        """Random time steps (n,) of a training batch, as the denoiser reads them."""

    def steps_at(self, level: float, count: int) -> torch.Tensor:
        """The time step at a share of the way from the clean image (0) to noise (1), `count` times."""

    def noised(self, clean: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        """The latents at their time steps."""

    def target(self, clean: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        """What the denoiser should answer."""

    def weights(self, steps: torch.Tensor, asked: Noising) -> torch.Tensor:
        """Loss weight of each row (n,)."""

    def sampler(self, kind: str) -> Sampler:
        """The solver of this name.

        Raises:
            FairgenError: this process has no such solver.
        """
