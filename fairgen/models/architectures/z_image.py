"""Z-Image, the undistilled base: a single-stream transformer (arXiv 2511.22699) that reads Qwen3."""

from typing import Any

import torch

from fairgen.models import qwen
from fairgen.models.architectures.stable_diffusion import autoencoder
from fairgen.models.base_model import Base
from fairgen.models.conditioning import Conditioning
from fairgen.models.eight_bits import dtype_of
from fairgen.models.flow import Flow, even, linear_mu
from fairgen.models.lazy_imports import lean
from fairgen.models.lora import LORA_TARGETS
from fairgen.models.parts import Encoders

__all__ = ["autoencoder", "denoiser", "encode", "lora_targets", "predict", "process", "text"]


def denoiser() -> Any:
    """Class of the denoiser."""
    with lean():
        from diffusers.models.transformers.transformer_z_image import ZImageTransformer2DModel

    return ZImageTransformer2DModel


def text(about: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Classes of the tokenizer and the text encoder."""
    return {"": qwen.classes(about)}


def lora_targets(config: dict[str, Any]) -> list[str]:
    """All attention projections."""
    return list(LORA_TARGETS)


def grid(config: Any, steps: int, shape: torch.Size) -> dict[str, Any]:
    """Even steps, shifted by the scheduler's constant or by μ."""
    return {"sigmas": even(steps), "mu": linear_mu(config, (shape[-2] // 2) * (shape[-1] // 2))}


def process(base: Base) -> Flow:
    """Flow matching."""
    return Flow(base, grid)


def encode(base: Base, encoders: Encoders, prompts: list[str]) -> Conditioning:
    """One row of conditioning per prompt: the states before the last layer, and how many are not padding."""
    (states,), masks = qwen.hidden_states(*encoders["text_encoder"], prompts, (-2,), thinking=True)
    rows = [row[mask] for row, mask in zip(states, masks, strict=True)]
    lengths = torch.tensor([len(row) for row in rows])
    return Conditioning(torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), lengths=lengths)


def predict(transformer: Any, latents: torch.Tensor, steps: torch.Tensor, text: Conditioning) -> torch.Tensor:
    """The transformer's answer in float32 for latents (n, c, h, w) at one time step or at n.

    Its time runs from noise to picture, and so does what it answers: the sign is turned.
    """
    place, dtype = transformer.device, dtype_of(transformer)
    assert text.lengths is not None
    pairs = zip(text.states.to(dtype), text.lengths.tolist(), strict=True)
    found = transformer(
        list(latents.to(place, dtype).unsqueeze(2)),
        (1000 - steps.to(place).expand(len(latents))) / 1000,
        [states[:length] for states, length in pairs],
    ).sample
    return -torch.stack(list(found)).squeeze(2).float()
