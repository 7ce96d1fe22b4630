"""The denoising loss of adapters: noise and weights for a batch of latents, and the error of the denoiser's
answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from fairgen.core import devices
from fairgen.generate.recipe import Adapt
from fairgen.models import diffusion
from fairgen.models.conditioning import Conditioning, joined
from fairgen.models.parts import DTYPES
from fairgen.models.process import Process


@dataclass(frozen=True)
class Noised:
    """A batch as the denoiser gets it, what it should answer, and each row's weight in the loss."""

    latents: torch.Tensor
    steps: torch.Tensor
    time_ids: torch.Tensor  # (n, 6) of the rows' images, for SDXL
    target: torch.Tensor
    weight: torch.Tensor
    text: Conditioning | None = None  # of the rows, where they have captions

    @staticmethod
    def joined(batches: "Sequence[Noised]") -> "Noised":
        """The rows of several batches, one after the other."""
        columns = {name: [getattr(batch, name) for batch in batches] for name in vars(batches[0])}
        texts = [text for text in columns.pop("text") if text is not None]
        tensors = {name: torch.cat(parts) for name, parts in columns.items()}
        return Noised(**tensors, text=joined(texts) if texts else None)

    def to(self, place: torch.device) -> "Noised":
        """The batch on a device; a GPU copies it when it comes to it."""
        later = place.type == "cuda"
        return Noised(*(None if x is None else x.to(place, non_blocking=later) for x in vars(self).values()))

    def pinned(self) -> "Noised":
        """The batch in memory that a GPU copies from by itself; text may be on it already."""
        return Noised(*(None if x is None else x.pin_memory() for x in vars(self).values()))

    def copy_(self, other: "Noised") -> None:
        """Take over another batch of the same shapes, in place; a GPU copies it when it comes to it."""
        for own, x in zip(vars(self).values(), vars(other).values(), strict=True):
            if own is not None:
                own.copy_(x, non_blocking=True)


def noised(
    process: Process,
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
    noise = process.noise(clean, settings, generator)
    steps = process.steps(len(clean), settings, generator)
    target = process.target(clean, noise, steps)
    weight = loss_weight * process.weights(steps, settings)
    return Noised(process.noised(clean, noise, steps), steps, time_ids, target, weight)


def precision(settings: Adapt) -> torch.autocast:
    """Where forward passes take the base's dtype, though all weights are float32; LoRA layers see to
    themselves.
    """
    dtype = DTYPES[settings.base.dtype]
    return torch.autocast(
        devices.current().type, dtype, enabled=settings.kind == "full" and dtype != torch.float32
    )


def row_losses(unet: torch.nn.Module, batch: Noised, text: Conditioning, settings: Adapt) -> torch.Tensor:
    """Weighted denoising error of each row under `text` or the batch's own; SDXL reads the sizes and crops of
    the batch's images, not those of a text.
    """
    batch = batch.to(unet.device)
    text = batch.text or text
    if text.time_ids is not None:
        text = replace(text, time_ids=batch.time_ids)
    with precision(settings):
        predicted = diffusion.predict(unet, batch.latents, batch.steps, text)
    return (predicted - batch.target).square().mean((1, 2, 3)) * batch.weight
