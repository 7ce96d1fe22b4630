"""The encoder whose features are clustered: a CLIP's vision tower or any timm model."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from fairgen import devices
from fairgen.models import clip, missing


@dataclass(frozen=True)
class Encoder:
    """`kind` is `clip` (a transformers folder or id) or `timm` (a timm model name with pretrained weights)."""

    kind: str
    model: str


@dataclass(frozen=True)
class Features:
    """A function from (n, size, size, 3) uint8 to (n, d) float32, with its picture size."""

    run: Callable[[np.ndarray], torch.Tensor]
    size: int

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Features of a batch."""
        return self.run(pixels).float().numpy()


def load(settings: Encoder) -> Features:
    """Load the encoder."""
    return _timm(settings.model) if settings.kind == "timm" else _clip(settings.model)


def _clip(model: str) -> Features:
    loaded = clip.load(model, "embed.encoder.model")
    return Features(loaded.pooled, loaded.size)


def _timm(model: str) -> Features:
    import timm

    try:
        network = timm.create_model(model, pretrained=True, num_classes=0).eval().to(devices.current())
    except (OSError, RuntimeError, ValueError) as error:
        raise missing(model, "embed.encoder.model", error) from error
    recipe = timm.data.resolve_model_data_config(network)
    mean, std = (torch.tensor(recipe[k]).view(1, 3, 1, 1) for k in ("mean", "std"))

    @torch.inference_mode()
    def run(pixels: np.ndarray) -> torch.Tensor:
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        return network(((x - mean) / std).to(devices.current())).cpu()

    return Features(run, recipe["input_size"][-1])
