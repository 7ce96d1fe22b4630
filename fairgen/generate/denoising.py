"""The denoising loss of adapters: noise and weights for a batch of latents, and the error of the denoiser's
answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from fairgen.core import devices
from fairgen.generate.recipe import Adapt
from fairgen.models import diffusion


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


@dataclass(frozen=True)
class Noised:
    """A batch as the denoiser gets it, what it should answer, and each row's weight in the loss."""

    latents: torch.Tensor
    steps: torch.Tensor
    time_ids: torch.Tensor  # (n, 6) of the rows' images, for SDXL
    target: torch.Tensor
    weight: torch.Tensor

    @staticmethod
    def joined(batches: "Sequence[Noised]") -> "Noised":
        """The rows of several batches, one after the other."""
        return Noised(*map(torch.cat, zip(*(vars(batch).values() for batch in batches), strict=True)))

    def to(self, place: torch.device) -> "Noised":
        """The batch on a device."""
        return Noised(*(x.to(place) for x in vars(self).values()))

    def copy_(self, other: "Noised") -> None:
        """Take over another batch of the same shapes, in place."""
        for own, x in zip(vars(self).values(), vars(other).values(), strict=True):
            own.copy_(x)


def noised(
    schedule: Any,
    drawn: tuple[torch.Tensor, torch.Tensor],
    loss_weight: torch.Tensor,
    settings: Adapt,
    generator: torch.Generator,
) -> Noised:
    """Noise for a batch of latents (n, c, h, w), `drawn` with their time ids (n, 6).

    `loss_weight` (n,) is each row's part of the loss.
    Chance comes from the CPU's generator, so that it is the same on every device.
    """
    clean, time_ids = drawn
    noise = torch.randn(clean.shape, generator=generator)
    # crosslabs.org/blog/diffusion-with-offset-noise: lets training move the mean brightness
    if settings.offset_noise:
        noise += settings.offset_noise * torch.randn(*clean.shape[:2], 1, 1, generator=generator)
    steps = torch.randint(0, schedule.config.num_train_timesteps, (len(clean),), generator=generator)
    kind = schedule.config.prediction_type
    target = schedule.get_velocity(clean, noise, steps) if kind == "v_prediction" else noise
    weight = loss_weight * min_snr_weights(schedule.alphas_cumprod, steps, settings.min_snr, kind)
    return Noised(schedule.add_noise(clean, noise, steps), steps, time_ids, target, weight)


def precision(settings: Adapt) -> torch.autocast:
    """Where forward passes take the base's dtype, though all weights are float32; LoRA layers see to
    themselves.
    """
    dtype = diffusion.DTYPES[settings.base.dtype]
    return torch.autocast(
        devices.current().type, dtype, enabled=settings.kind == "full" and dtype != torch.float32
    )


def row_losses(
    unet: torch.nn.Module, batch: Noised, text: diffusion.Conditioning, settings: Adapt
) -> torch.Tensor:
    """Weighted denoising error of each row; SDXL reads the sizes and crops of the batch's own images, not
    those of `text`.
    """
    batch = batch.to(unet.device)
    if text.time_ids is not None:
        text = replace(text, time_ids=batch.time_ids)
    with precision(settings):
        predicted = diffusion.predict(unet, batch.latents, batch.steps, text)
    return (predicted - batch.target).square().mean((1, 2, 3)) * batch.weight
