"""A classifier as a folder that timm loads from the hub or from a disk (`hf-hub:`, `local-dir:`)."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from fairgen.core import safetensors_file
from fairgen.core.errors import FairgenError
from fairgen.models import backbone

if TYPE_CHECKING:
    from fairgen.commands.exports.classifier import Trained

CLOSE = 1e-4  # logits of timm's network and of ours may differ by so much of the largest
IMAGES = 3  # random ones that both are tried on


def config(found: "Trained", licence: str) -> dict[str, Any]:
    """What timm reads: architecture and arguments, preprocessing, names of the classes."""
    net, settings = found.network.net, found.settings
    known, size = net.pretrained_cfg, settings.resolution
    args = {**settings.args, **backbone.picture_size(settings.model, size, settings.args)}
    preprocessing = {
        "input_size": [3, size, size],
        "fixed_input_size": bool(known.get("fixed_input_size")),
        "interpolation": "bicubic",
        "crop_pct": 1.0,
        "crop_mode": "center",
        "mean": list(known["mean"]),
        "std": list(known["std"]),
        "num_classes": len(found.classes),
        "label_names": found.classes,
        "first_conv": known.get("first_conv"),
        "classifier": known.get("classifier"),
        "custom_load": False,
        "license": licence,
    }
    return {
        "architecture": settings.model,
        "num_classes": len(found.classes),
        "num_features": net.num_features,
        "pretrained_cfg": preprocessing,
        **({"model_args": args} if args else {}),
    }


def write(folder: Path, found: "Trained", licence: str) -> str:
    """Write `config.json` and `model.safetensors`, load them with timm, and compare; returns what was found.

    Raises:
        FairgenError: timm has no place for the network's head, or answers something else.
    """
    net = found.network.net
    if hasattr(net, backbone.HEAD):
        raise FairgenError(
            f"{found.told.path}: {found.settings.model} has no linear classifier of its own in timm, so timm"
            " cannot load the one that was trained; use --layout onnx"
        )
    text = json.dumps(config(found, licence), indent=2, ensure_ascii=False)
    (folder / "config.json").write_text(text + "\n", "utf-8")
    tensors = safetensors_file.storable(net.state_dict())
    safetensors_file.save(folder / "model.safetensors", tensors, found.told.history, {"format": "pt"})
    return compared(folder, found)


@torch.inference_mode()
def compared(folder: Path, found: "Trained") -> str:
    """Whether timm's network from the folder answers as ours; in words.

    Raises:
        FairgenError: it does not.
    """
    import timm

    size, network = found.settings.resolution, found.network.eval()
    pixels = torch.randint(0, 256, (IMAGES, 3, size, size), generator=torch.Generator().manual_seed(0))
    try:
        other = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
        theirs = other((pixels.float() / 255 - network.mean) / network.std)
    except Exception as error:  # whatever timm says about a folder
        raise FairgenError(
            f"{found.told.path}: timm does not load {found.settings.model} from a folder"
            f" ({backbone.reason_of(error)}); use --layout onnx"
        ) from error
    ours = network(pixels.to(torch.uint8))
    difference, scale = (ours - theirs).abs().max().item(), ours.abs().max().item()
    if not difference <= CLOSE * max(1, scale):
        raise FairgenError(
            f"{found.told.path}: timm's {found.settings.model} answers otherwise than the one that was"
            f" trained (logits differ by {difference:.2g}); use --layout onnx"
        )
    return (
        f"Loaded by timm {timm.__version__} when it was exported: its logits of {IMAGES} random images"
        f" differed from fairgen's by at most {difference:.1e}."
    )
