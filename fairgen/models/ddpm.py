"""The diffusion process of Stable Diffusion 1.x, 2.x and XL (DDPM, Ho et al. 2020), for denoisers that
predict the noise (epsilon) or the velocity (v).
"""

from typing import Any

import torch

from fairgen.core.errors import FairgenError
from fairgen.models import parts, single_file
from fairgen.models.base_model import Base
from fairgen.models.lazy_imports import lean
from fairgen.models.process import Noising, Sampler

PREDICTIONS = ("epsilon", "v_prediction")  # what a denoiser may be trained to answer


def noise_schedule(base: Base) -> Any:
    """The training noise schedule.

    Raises:
        FairgenError: the base has another one, or predicts what fairgen does not train.
    """
    with lean():
        from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    schedule = parts.load_part(DDPMScheduler, base, "scheduler")
    found, own = (
        schedule.config.prediction_type,
        DDPMScheduler.load_config(base.layout, subfolder="scheduler", revision=base.revision),
    )
    # flow matching and EDM, which DDPM reads as its own defaults
    if "beta_start" not in own and "trained_betas" not in own:
        raise FairgenError(
            f"diffusion.model: the schedule of {base.model} is a {own.get('_class_name')}, and Stable"
            " Diffusion 1.x, 2.x and XL are trained on DDPM's noise (beta_start, beta_end); give another base"
        )
    if found not in PREDICTIONS:
        raise FairgenError(
            f"diffusion.model: {base.model} has prediction_type {found} in its scheduler, and fairgen trains"
            f" only {' and '.join(PREDICTIONS)}; give another base"
        )
    if single_file.is_one(base.model):
        zero_snr = bool(schedule.config.get("rescale_betas_zero_snr"))
        single_file.check_prediction(base.model, found, zero_snr)
    return schedule


def min_snr_weights(
    alphas_cumprod: torch.Tensor, steps: torch.Tensor, gamma: float, prediction: str
) -> torch.Tensor:
    """Loss weight per row (arXiv 2303.09556, eq. 5); v-prediction divides by SNR + 1.

    A schedule of zero terminal SNR (arXiv 2305.08891) has SNR 0 at its last step: the weight is 1 there, or 0
    for v-prediction, the limits of the formula.
    """
    if not gamma:
        return torch.ones(len(steps))
    snr = alphas_cumprod[steps] / (1 - alphas_cumprod[steps])
    weights = snr.clamp(max=gamma) / (snr + 1 if prediction == "v_prediction" else snr)
    return weights.nan_to_num(nan=1.0)


class Ddpm:
    """Noise by the base's own schedule; chance comes from the CPU's generator, the same on every device."""

    def __init__(self, base: Base):
        self.schedule = noise_schedule(base)
        self.model, self.prediction = base.model, self.schedule.config.prediction_type

    def check(self, asked: Noising) -> None:
        """Refuse what belongs to the other process.

        Raises:
            FairgenError: a weighting or a shift of flow matching is asked for.
        """
        if asked.weighting != "none" or asked.shift != 1:
            raise FairgenError(
                f"adapt.weighting, adapt.shift: {self.model} is not trained by flow matching; set weighting:"
                " none and shift: 1 (min_snr weighs its time steps)"
            )

    def noise(self, clean: torch.Tensor, asked: Noising, generator: torch.Generator) -> torch.Tensor:
        """Normal noise, with a part that is one number per channel where that is asked for."""
        noise = torch.randn(clean.shape, generator=generator)
        # crosslabs.org/blog/diffusion-with-offset-noise: lets training move the mean brightness
        if asked.offset_noise:
            noise += asked.offset_noise * torch.randn(*clean.shape[:2], 1, 1, generator=generator)
        return noise

    def steps(self, count: int, asked: Noising, generator: torch.Generator) -> torch.Tensor:
        """All steps alike."""
        return torch.randint(0, self.schedule.config.num_train_timesteps, (count,), generator=generator)

    def steps_at(self, level: float, count: int) -> torch.Tensor:
        """That share of the schedule's steps."""
        return torch.full((count,), round(level * (self.schedule.config.num_train_timesteps - 1)))

    def noised(self, clean: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        """√ᾱ·x0 + √(1 − ᾱ)·noise."""
        return self.schedule.add_noise(clean, noise, steps)

    def target(self, clean: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        """The noise, or the velocity √ᾱ·noise − √(1 − ᾱ)·x0 (arXiv 2202.00512)."""
        velocity = self.prediction == "v_prediction"
        return self.schedule.get_velocity(clean, noise, steps) if velocity else noise

    def weights(self, steps: torch.Tensor, asked: Noising) -> torch.Tensor:
        """The min-SNR weight."""
        return min_snr_weights(self.schedule.alphas_cumprod, steps, asked.min_snr, self.prediction)

    def sampler(self, kind: str) -> Sampler:
        """A fast solver on the base's own schedule: `dpmsolver++` (arXiv 2211.01095), `unipc` (arXiv
        2302.04867), or `euler` (arXiv 2206.00364, algorithm 2 without its correction).

        Steps are spaced from the last training step on (arXiv 2305.08891, section 3.3): the spacing that most
        folders ask for starts a ten-step run at step 900 of 1,000 with pure noise, and the images come out
        pale. It is an argument, for diffusers drops from a config what the folder does not state, as that of
        Stable Diffusion 1.5 does not state its spacing. They end without noise, whatever the folder's own
        solver leaves.
        """
        config = self.schedule.config
        spaced = {"timestep_spacing": "trailing", "final_sigmas_type": "zero"}
        if kind == "unipc":
            with lean():
                from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

            return Sampler(UniPCMultistepScheduler.from_config(config, **spaced))
        if kind == "euler":
            with lean():
                from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler

            return Sampler(EulerDiscreteScheduler.from_config(config, **spaced))
        with lean():
            from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

        options = {"algorithm_type": "dpmsolver++", "solver_order": 2, **spaced}
        return Sampler(DPMSolverMultistepScheduler.from_config(config, **options))
