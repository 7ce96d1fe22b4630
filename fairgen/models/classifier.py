"""The classifier: any timm backbone with a linear head on top."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from tqdm import tqdm

from fairgen.core import devices, safetensors_file
from fairgen.core.ahead import ahead
from fairgen.core.errors import FairgenError
from fairgen.core.progress import hidden
from fairgen.core.settings import read
from fairgen.models import backbone, weights


@dataclass(frozen=True)
class Classifier:
    """A timm model name with extra arguments, whether it starts from pretrained weights, and the picture
    size.
    """

    model: str
    args: dict[str, Any]
    pretrained: bool | str  # a file of timm weights in place of the hub's
    resolution: int


class Network(torch.nn.Module):
    """Backbone and head; takes uint8 images, so the preprocessing travels with the weights.

    With `precision` bfloat16 the backbone trains under autocast; weights, head and evaluation are float32
    always.
    """

    def __init__(self, settings: Classifier, classes: int, precision: str = "float32"):
        super().__init__()
        self.autocast = precision == "bfloat16"
        self.net = backbone.create(
            settings.model, classes, settings.pretrained, settings.resolution, settings.args
        )
        recipe = self.net.pretrained_cfg
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(recipe[name]).view(1, 3, 1, 1), persistent=False)

    @property
    def head(self) -> torch.nn.Linear:
        """The linear layer."""
        return backbone.head(self.net)

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """(n, 3, h, w) uint8 or float in [0, 255], from any device, to pooled features (n, d)."""
        x = (pixels.to(self.mean.device).float() / 255 - self.mean) / self.std
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.autocast and self.training):
            return backbone.features(self.net, x.contiguous(memory_format=torch.channels_last)).float()

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes)."""
        return self.head(self.features(pixels))


def build(settings: Classifier, classes: int, seed: int, precision: str = "float32") -> Network:
    """A network whose untrained weights depend on the seed alone."""
    torch.manual_seed(seed)
    return Network(settings, classes, precision).to(devices.current(), memory_format=torch.channels_last)


def probe(settings: Classifier, classes: int) -> None:
    """Build the network, without weights from the hub, and try one random image, so that a run does not find
    out late.

    Raises:
        FairgenError: timm has no such model or it takes no such arguments, its features do not fit its head,
            it does not take pictures of this size, or its weights are not to be had or not its own; names
            `classifier.model` or the key at fault.
    """
    backbone.pretrained_arguments(settings.model, settings.pretrained)
    fetched = settings.pretrained is True
    network = Network(replace(settings, pretrained=False) if fetched else settings, classes)
    backbone.probe(network.net, settings.model, classes, settings.resolution)


def save(path: Path, network: Network, history: dict[str, Any] | None = None) -> None:
    """Write the weights as safetensors; `history`, what they have behind them, goes into the metadata."""
    safetensors_file.save(path, safetensors_file.storable(network.net.state_dict()), history or {})


def restore(path: Path, network: Network) -> dict[str, Any]:
    """Read the weights back; returns their history.

    Raises:
        FairgenError: the file is missing, is none of fairgen's, or holds another architecture.
    """
    history, found = metadata(path), load_file(path)
    weights.fitting(
        path, found, network.net.state_dict(), "it is of another classifier: delete it and run again"
    )
    network.net.load_state_dict(found)
    return history


def metadata(path: Path) -> dict[str, Any]:
    """What was saved beside the weights.

    Raises:
        FairgenError: the file is missing, or no weights of fairgen.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            return json.loads((file.metadata() or {})["fairgen"])
    except FileNotFoundError as error:
        raise FairgenError(f"{path}: no such file; give a model.safetensors of a finished run") from error
    except (KeyError, OSError, ValueError, SafetensorError) as error:
        reason = "no metadata of fairgen" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise FairgenError(
            f"{path}: no weights that fairgen has written ({reason}); give a model.safetensors"
        ) from error


def identity(settings: Classifier, classes: list[str]) -> dict[str, Any]:
    """What has to travel with the weights so that `load` can use them alone."""
    return {"classifier": asdict(settings), "classes": classes}


def load(path: Path) -> tuple[Network, Classifier, list[str]]:
    """A trained network with its settings and its classes in the logits' order, from its file alone.

    Raises:
        FairgenError: the file does not say what it holds.
    """
    found = metadata(path)
    if not {"classifier", "classes"} <= found.keys():
        raise FairgenError(
            f"{path}: the file does not say which classifier and classes it holds, as model.safetensors of a"
            " finished run does; give such a file, or run finetune again"
        )
    settings = read(Classifier, found["classifier"], str(path))
    network = build(replace(settings, pretrained=False), len(found["classes"]), 0)
    restore(path, network)
    return network.eval(), settings, found["classes"]


def to_pixels(images: np.ndarray) -> torch.Tensor:
    """(n, h, w, 3) uint8 to (n, 3, h, w) uint8, on the same memory."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def augment(pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The one augmentation of every method: mirror, shift by up to an eighth, and change brightness and
    contrast.

    Takes (n, 3, h, w) uint8, returns float in [0, 255] on the job's device. Chance comes from the CPU's
    generator, so that it is the same on every device.
    """
    n, _, height, width = pixels.shape
    place = devices.current()
    x = pixels.to(place).float()
    flip = (torch.rand(n, generator=generator) < 0.5).to(place)
    x = torch.where(flip[:, None, None, None], x.flip(-1), x)
    reach = max(1, width // 8)
    x = torch.nn.functional.pad(x, (reach,) * 4, mode="replicate")
    top, left = (torch.randint(0, 2 * reach + 1, (n, 1), generator=generator) for _ in range(2))
    rows, columns = (top + torch.arange(height)).to(place), (left + torch.arange(width)).to(place)
    x = x[torch.arange(n, device=place)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(
        0, 3, 1, 2
    )
    gain = 1 + 0.2 * (2 * torch.rand(n, 1, 1, 1, generator=generator) - 1)
    shift = 25 * (2 * torch.rand(n, 1, 1, 1, generator=generator) - 1)
    return (x * gain.to(place) + shift.to(place)).clamp(0, 255)


@torch.inference_mode()
def embed(network: Network, pixels: torch.Tensor, batch: int = 256) -> torch.Tensor:
    """Features of all images, (n, d), on the CPU."""
    network.eval()
    starts = tqdm(range(0, len(pixels), batch), desc="features", delay=5, leave=False, disable=hidden())
    read = ahead(lambda i: pixels[i : i + batch], starts)
    return torch.cat([network.features(own).cpu() for own in read]).clone()


@torch.inference_mode()
def predict(network: Network, pixels: torch.Tensor) -> torch.Tensor:
    """Logits of all images, (n, classes), on the CPU."""
    return network.head(embed(network, pixels).to(network.mean.device)).cpu()
