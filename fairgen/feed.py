"""What an adapter is trained on: batches of cached latents with a random stream, and their conditioning.

Image latents (moments, flipped ones included) and prompt states are encoded once, never per step.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch

from fairgen.batches import Batches
from fairgen.models import autoencoder, diffusion

if TYPE_CHECKING:
    from fairgen.adapt import Recipe


class Latents:
    """Moments of a set of images and their mirror images, from which a fresh latent is drawn each time."""

    def __init__(self, vae: torch.nn.Module, pixels: np.ndarray):
        self.mean, self.std = autoencoder.encode(vae, np.concatenate([pixels, pixels[:, :, ::-1]]))

    def draw(self, rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """A sample of the posterior for each row."""
        return self.mean[rows] + self.std[rows] * torch.randn(self.mean[rows].shape, generator=generator)

    def __len__(self) -> int:
        return len(self.mean)


class Feed:
    """Batches of one adapter's own images and of class images, with a random stream of their own."""

    def __init__(self, sets: list[Latents], sizes: list[int], seed: int):
        self.generator = torch.Generator().manual_seed(seed)
        self.sets = sets
        self.streams = [Batches(len(latents), size, self.generator) for latents, size in zip(sets, sizes, strict=True)]

    def draw(self) -> torch.Tensor:
        """Clean latents of the next batch."""
        drawn = zip(self.sets, self.streams, strict=True)
        return torch.cat([latents.draw(next(rows), self.generator) for latents, rows in drawn])


def portions(recipe: "Recipe", priors: int) -> tuple[list[int], torch.Tensor]:
    """Rows that a batch takes of the cluster's images and of each set of class images, and each row's part of the loss."""
    each = max(1, recipe.prior_batch // max(1, priors))
    parts = [(recipe.batch, 1.0), *[(each, recipe.prior_weight / max(1, priors))] * priors]
    return [size for size, _ in parts], torch.cat([torch.full((size,), weight / size) for size, weight in parts])


def conditions(prompts: diffusion.Conditioning, sizes: list[int]) -> diffusion.Conditioning:
    """The conditioning of a batch: each prompt's row as often as a batch takes rows of its images."""
    return diffusion.joined([prompts[i : i + 1].expand(size) for i, size in enumerate(sizes)])
