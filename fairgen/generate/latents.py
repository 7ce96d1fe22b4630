"""What an adapter is trained on: batches of cached latents with a random stream, and their conditioning.

Image latents (moments, flipped ones included) and prompt states are encoded once, never per step.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch

from fairgen.core import crops
from fairgen.core.batches import Batches
from fairgen.generate.captions import Captions
from fairgen.generate.recipe import Recipe, rows_each
from fairgen.models import autoencoder
from fairgen.models.conditioning import Conditioning, joined

# sets of class images (n, h, w, 3) uint8 with their prompts
Priors: TypeAlias = Sequence[tuple[str, np.ndarray]]
# of another group: the prompt with the rare token, images (n, h, w, 3) uint8, and their origins (n, 4)
Companion: TypeAlias = tuple[str, np.ndarray, np.ndarray]


class Latents:
    """Moments of a set of images and their mirror images, from which a fresh latent is drawn each time."""

    def __init__(self, vae: torch.nn.Module, pixels: np.ndarray, origins: np.ndarray | None = None):
        self.mean, self.std = autoencoder.encode(vae, np.concatenate([pixels, pixels[:, :, ::-1]]))
        other = None if origins is None else crops.mirrored(origins, pixels.shape[1])
        self.time_ids = torch.cat([time_ids(pixels, origins), time_ids(pixels, other)])

    def sample(self, rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """A sample of the posterior for each row."""
        return self.mean[rows] + self.std[rows] * torch.randn(self.mean[rows].shape, generator=generator)

    def __len__(self) -> int:
        return len(self.mean)


def time_ids(pixels: np.ndarray, origins: np.ndarray | None) -> torch.Tensor:
    """What SDXL reads of each training image (n, 6): its height and width, the corner of its crop, and the
    size of `pixels`.

    As diffusers' DreamBooth script for SDXL computes them (arXiv 2307.01952, section 2.2). Images without
    `origins` (n, 4) are taken as they are: not scaled, not cut.
    """
    _, height, width, _ = pixels.shape
    whole = np.tile([height, width, 0, 0], (len(pixels), 1)) if origins is None else origins
    return torch.cat(
        [torch.from_numpy(whole).float(), torch.tensor([height, width]).float().expand(len(pixels), 2)], dim=1
    )


class Loader:
    """Batches of one adapter's own images and of class images, with a random stream of their own; `captions`
    are of the own ones.
    """

    def __init__(self, sets: list[Latents], sizes: list[int], seed: int, captions: Captions | None = None):
        self.generator = torch.Generator().manual_seed(seed)
        self.sets, self.captions = sets, captions
        self.streams = [
            Batches(len(latents), size, self.generator) for latents, size in zip(sets, sizes, strict=True)
        ]

    def next_batch(self) -> tuple[tuple[torch.Tensor, torch.Tensor], torch.Tensor]:
        """Clean latents of the next batch with their images' `time_ids`, and the numbers of their prompts."""
        drawn = []
        for number, (latents, stream) in enumerate(zip(self.sets, self.streams, strict=True)):
            rows = next(stream)
            clean = latents.sample(rows, self.generator)
            own = self.captions.choose(rows, self.generator) if self.captions and not number else None
            prompts = torch.full_like(rows, number) if own is None else own
            drawn.append((clean, latents.time_ids[rows], prompts))
        clean, sizes, prompts = (torch.cat(part) for part in zip(*drawn, strict=True))
        return (clean, sizes), prompts


def prompts_beside(priors: Priors, companions: Sequence[Companion]) -> list[str]:
    """Prompts of the sets that are trained beside the cluster's own, in the order of `latents_beside`."""
    return [prompt for prompt, _ in priors] + [prompt for prompt, *_ in companions]


def latents_beside(vae: torch.nn.Module, priors: Priors, companions: Sequence[Companion]) -> list[Latents]:
    """Latents of each set of class images, which are as the base has drawn them, and of each companion's."""
    of_class = [Latents(vae, pixels) for _, pixels in priors]
    return of_class + [Latents(vae, pixels, origins) for _, pixels, origins in companions]


def batch_sizes(recipe: Recipe, priors: int, companions: int = 0) -> tuple[list[int], torch.Tensor]:
    """Rows that a batch takes of the cluster's images, of each set of class images, and of each companion's;
    and each row's part of the loss. Companions together have as much of both as the cluster.
    """

    def shared(rows: int, weight: float, sets: int) -> list[tuple[int, float]]:
        return [(rows_each(rows, sets), weight / sets)] * sets if sets else []

    parts = [
        (recipe.batch, 1.0),
        *shared(recipe.prior_batch, recipe.prior_weight, priors),
        *shared(recipe.batch, 1.0, companions),
    ]
    return [size for size, _ in parts], torch.cat(
        [torch.full((size,), weight / size) for size, weight in parts]
    )


def conditions(prompts: Conditioning, sizes: list[int]) -> Conditioning:
    """The conditioning of a batch: each prompt's row as often as a batch takes rows of its images."""
    return joined([prompts[i : i + 1].expand(size) for i, size in enumerate(sizes)])
