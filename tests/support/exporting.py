"""Adapters with random weights to be exported, and what a pipeline draws with them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairgen.generate import text_adapters
from fairgen.models import adapters, base_model, diffusion, lora, text_encoders

ABOUT = {"group": "g", "cluster": 1, "images": 3, "prompt": "a V", "rank": 2, "alpha": 5, "dora": False}


def base_of(place: Path, config: Path | None = None) -> base_model.Base:
    return base_model.Base(str(place), None, None, "float32", 32, config and str(config))


def adapter_of(
    base: base_model.Base,
    kind: str,
    path: Path,
    targets: tuple[str, ...] | list[str] = lora.LORA_TARGETS,
    text: bool = False,
    dora: bool = False,
) -> torch.nn.Module:
    """Write an adapter with random weights, of the text encoders too where `text` says so; returns its
    denoiser.
    """
    denoiser, encoders = diffusion.load_denoiser(base), text_encoders.load_text(base) if text else {}
    networks = [denoiser, *(encoder for _, encoder in encoders.values())]
    if kind == "lora":
        for network, names in zip(networks, [targets, *[lora.TEXT_TARGETS] * len(encoders)], strict=True):
            lora.inject_lora(network, 2, 5, dora, names)
            network.eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for network in networks:
            for name, weight in network.named_parameters():
                if kind == "full" or "lora_" in name:
                    weight += 0.05 * torch.randn(weight.shape)
    facts = {**ABOUT, "dora": dora, "kind": kind, "base": diffusion.identity(base)}
    adapters.write(path, denoiser, facts, text_adapters.state(encoders, kind) if text else None)
    return denoiser


def drawn(folder: Path, adapter: Path | None = None, whole: Any = None) -> np.ndarray:
    """An image (h, w, 3) of a few steps by the pipeline in a folder, or by a `whole` one, with a LoRA
    file.
    """
    from diffusers import DiffusionPipeline

    pipeline = whole or DiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    if adapter:
        pipeline.load_lora_weights(adapter)
    chance = torch.Generator().manual_seed(0)
    options = {"num_inference_steps": 5, "height": 32, "width": 32, "output_type": "np", "generator": chance}
    return pipeline(prompt="a duck on lake", **options).images[0]
