"""The encoders of the audit, and what they see of images."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from fairgen.core import image_decoding, images
from fairgen.models import encoder


@dataclass(frozen=True)
class Models:
    """The two encoders that look at images, which may be one, and how many images go through them at once."""

    space: encoder.Features
    encoder: encoder.Features
    batch: int

    def features(self, pictures: list[Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Unit features (n, d) of decoded images by both."""

        seen = features_of(self.space, pictures)
        return seen, seen if self.encoder is self.space else features_of(self.encoder, pictures)


def features_of(model: encoder.Features, pictures: list[Any]) -> torch.Tensor:
    """Unit features (n, d) of decoded images by one encoder."""
    return unit(model(np.stack([np.asarray(images.fit(p, model.size)) for p in pictures])))


def unit(vectors: np.ndarray) -> torch.Tensor:
    """Vectors (n, d) at length one."""
    return F.normalize(torch.tensor(vectors), dim=1)


def load(space: encoder.Encoder, own: encoder.Encoder, batch: int) -> Models:
    """The encoders, loaded once where they are one."""
    seeing = encoder.load(space, "audit.encoder")
    return Models(seeing, seeing if own == space else encoder.load(own), batch)


def chunks(contents: Iterator[bytes] | list[bytes], size: int) -> Iterator[list[Any]]:
    """Decoded images, `size` at a time."""
    waiting = []
    for content in contents:
        waiting.append(image_decoding.decode(content))
        if len(waiting) == size:
            yield waiting
            waiting = []
    if waiting:
        yield waiting
