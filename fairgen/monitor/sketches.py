"""Sample images of a generator that is still being trained, and how many of them are near copies of training
images.
"""

import base64
import io
from typing import Any

import numpy as np
import torch
from PIL import Image

from fairgen.core.seeds import seed_of
from fairgen.data.duplicates import perceptual_hash
from fairgen.generate.denoising import precision
from fairgen.generate.held_out import Preview, evaluating
from fairgen.generate.solver import Solver, render
from fairgen.models import diffusion, parts, text_encoders
from fairgen.models.conditioning import Conditioning
from fairgen.models.pipelines import EULER

SIDE = 256  # of a picture in the file, at most
COMPARED = 2000  # training images that sample images are compared with, at most


class Sketches:
    """Draws the same seeds at every step, so that they can be compared.

    Args:
        preview: what they are drawn with.
        asked: the config's `monitor.samples`.
        near: bits of 256 by which perceptual hashes of near copies differ at most.
    """

    def __init__(self, preview: Preview, asked: dict[str, Any], near: int):
        self.preview, self.asked, self.near = preview, asked, near
        self.hashes: dict[int, np.ndarray] = {}

    def text(self) -> Conditioning:
        """States of the prompt with the rare token and of the empty one, by the text encoders as they are now
        where they are trained.
        """
        preview = self.preview
        if preview.text is not None:
            return preview.text
        with torch.no_grad(), precision(preview.settings):
            return text_encoders.encode(preview.base, preview.encoders, [preview.prompt, ""])

    def drawn(self, run: int) -> np.ndarray:
        """Images (n, h, w, 3) uint8 of one adapter."""
        preview, base = self.preview, self.preview.base
        kind = EULER if parts.layout(base).flow else "dpmsolver++"
        guidance, count = self.asked["guidance"], self.asked["images"]
        solver = Solver(kind, self.asked["steps"], guidance, "", preview.settings.recipe.batch)
        seeds = [seed_of("sketch", run, number) for number in range(count)]
        vae, sampler = diffusion.load_vae(base), diffusion.process(base).sampler(kind)
        with evaluating(preview.unet), preview.alone(run), precision(preview.settings):
            text, size = self.text(), solver.batch
            parts_of = [seeds[i : i + size] for i in range(0, count, size)]
            pictures = [render(preview.unet, vae, base, sampler, text, own, solver) for own in parts_of]
        return np.concatenate(pictures)

    def sample(self, run: int) -> tuple[np.ndarray, dict[str, Any]]:
        """Images (n, h, w, 3) uint8 of one adapter, and what the curves' file has of them."""
        pixels = self.drawn(run)
        return pixels, {"images": [data_url(image) for image in pixels], **self.copies(run, pixels)}

    def copies(self, run: int, pixels: np.ndarray) -> dict[str, Any]:
        """The share of images that are near copies of training images, and for comparison that of held-out
        images; with the bits to the closest training image of each.
        """
        if run not in self.hashes:
            self.hashes[run] = hashes(self.preview.images[run][:COMPARED])
        closest, unseen = bits(hashes(pixels), self.hashes[run]), self.preview.unseen[run]
        found = {"near_copies": share(closest, self.near), "closest_bits": closest.tolist()}
        if unseen is not None:
            others = bits(hashes(unseen.pixels), self.hashes[run])
            found["near_copies_held_out"] = share(others, self.near)
        return found


def hashes(pixels: np.ndarray) -> np.ndarray:
    """Perceptual hashes of images (n, h, w, 3), as bits (n, 256)."""
    found = [np.frombuffer(perceptual_hash(Image.fromarray(image)), dtype=np.uint8) for image in pixels]
    return np.unpackbits(np.stack(found), axis=1)


def bits(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Bits (n,) by which each of some hashes (n, 256) differs from the closest of others (m, 256)."""
    return np.array([(row != others).sum(1).min() for row in one])


def share(closest: np.ndarray, near: int) -> float:
    """The share of distances that are at most `near`."""
    return float((closest <= near).mean())


def data_url(image: np.ndarray) -> str:
    """An image (h, w, 3) as an address that holds it, scaled down to `SIDE`."""
    picture, stream = Image.fromarray(image), io.BytesIO()
    small = max(picture.size) <= 64
    picture.thumbnail((SIDE, SIDE))
    picture.save(stream, "WEBP", lossless=small, quality=85)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"
