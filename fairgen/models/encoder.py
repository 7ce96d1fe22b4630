"""The encoder whose features are clustered: a CLIP's vision tower or any timm model."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairgen.core import devices
from fairgen.core.errors import FairgenError
from fairgen.models import scorer, weights
from fairgen.models.checkpoints import locate, missing


@dataclass(frozen=True)
class Encoder:
    """`kind` is `clip` (a transformers folder or id) or `timm` (a timm model name with pretrained weights, or
    a folder in timm's layout, `config.json` and `model.safetensors`).
    """

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


def load(settings: Encoder, key: str = "embed.encoder") -> Features:
    """Load the encoder that a key of the config names.

    Raises:
        FairgenError: it cannot be found or read, or does not hold all its weights.
    """
    read = _timm if settings.kind == "timm" else _clip
    return read(settings.model, f"{key}.model")


def _clip(model: str, key: str) -> Features:
    loaded = scorer.load(model, key)
    return Features(loaded.pooled, loaded.size)


def timm_name(model: str) -> str:
    """How timm is told of a model: its name, or `local-dir:` and the folder that a local one lies in."""
    place = locate(model)
    return f"local-dir:{place}" if Path(place).is_dir() else model


def _timm(model: str, key: str) -> Features:
    import timm

    name = timm_name(model)
    check_name(name, key)
    try:
        with weights.watched() as answers:
            network = timm.create_model(name, pretrained=True, num_classes=0).eval().to(devices.current())
    except Exception as error:  # whatever timm's models say about files
        raise missing(model, key, error, weights.repository(model)) from error
    weights.check_timm(network, model, answers, key)
    recipe = timm.data.resolve_model_data_config(network)
    mean, std = (torch.tensor(recipe[k]).view(1, 3, 1, 1) for k in ("mean", "std"))

    @torch.inference_mode()
    def run(pixels: np.ndarray) -> torch.Tensor:
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        return vectors(network(((x - mean) / std).to(devices.current())), model, key).cpu()

    return Features(run, recipe["input_size"][-1])


def check_name(model: str, key: str) -> None:
    """timm has this model, and weights of it; ids of a hub are not looked up.

    Raises:
        FairgenError: it has not.
    """
    import timm

    if ":" in model or timm.is_model_pretrained(model):
        return
    if timm.is_model(model):
        raise FairgenError(f"{key}: timm has no weights of {model}; give another model")
    near = difflib.get_close_matches(model, timm.list_models(), 3)
    hint = f"; near it are {', '.join(near)}" if near else ""
    kind = key.replace(".model", ".kind")
    raise FairgenError(f"{key}: timm has no model {model}{hint}; give another name, or set {kind}: clip")


def vectors(found: Any, model: str, key: str) -> torch.Tensor:
    """What a timm model without a classifier gives, as (n, d).

    Raises:
        FairgenError: it gives a map or several things.
    """
    if not (isinstance(found, torch.Tensor) and found.ndim == 2):
        raise FairgenError(f"{key}: {model} gives no vector for an image; take another timm model")
    return found
