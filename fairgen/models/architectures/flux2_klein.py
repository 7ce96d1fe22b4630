"""FLUX.2 [klein], the undistilled base: a transformer of double and single streams that reads Qwen3."""

from typing import Any

import torch

from fairgen.models import qwen
from fairgen.models.base_model import Base
from fairgen.models.conditioning import Conditioning
from fairgen.models.eight_bits import dtype_of
from fairgen.models.flow import Flow, even
from fairgen.models.lazy_imports import lean
from fairgen.models.lora import LORA_TARGETS
from fairgen.models.parts import Encoders

LAYERS = (9, 18, 27)  # of Qwen3, whose states are concatenated
LONG = 4300  # tokens over which the shift no longer depends on the number of steps


def denoiser() -> Any:
    """Class of the denoiser."""
    with lean():
        from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel

    return Flux2Transformer2DModel


def autoencoder() -> Any:
    """Class of the autoencoder."""
    with lean():
        from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2

    return AutoencoderKLFlux2


def text(about: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Classes of the tokenizer and the text encoder."""
    return {"": qwen.classes(about)}


def lora_targets(config: dict[str, Any]) -> list[str]:
    """The attention projections of the pictures' stream, and both projections of each single-stream block."""
    single = [f"single_transformer_blocks.{i}.attn.to_out" for i in range(config["num_single_layers"])]
    return [*LORA_TARGETS, "to_qkv_mlp_proj", *single]


def mu(tokens: int, steps: int) -> float:
    """How far σ is shifted: on the line through the shifts at 10 and at 200 steps, which depend on the number
    of tokens (fitted by FLUX.2's authors).
    """
    many = 0.00016927 * tokens + 0.45666666
    if tokens > LONG:
        return many
    few = 8.73809524e-05 * tokens + 1.89833333
    return many + (many - few) / 190 * (steps - 200)


def grid(config: Any, steps: int, shape: torch.Size) -> dict[str, Any]:
    """Even steps, shifted by μ; each element of the latents is a token."""
    return {"sigmas": even(steps), "mu": mu(shape[-2] * shape[-1], steps)}


def process(base: Base) -> Flow:
    """Flow matching."""
    return Flow(base, grid)


def encode(base: Base, encoders: Encoders, prompts: list[str]) -> Conditioning:
    """One row of conditioning per prompt: three layers' states side by side, of the padding too."""
    states, _ = qwen.hidden_states(*encoders["text_encoder"], prompts, LAYERS, thinking=False)
    return Conditioning(torch.cat(states, dim=-1))


def positions(*sides: int, place: torch.device) -> torch.Tensor:
    """The four coordinates (time, row, column, word) of each token, (tokens, 4)."""
    return torch.cartesian_prod(*(torch.arange(side, device=place) for side in sides))


def predict(transformer: Any, latents: torch.Tensor, steps: torch.Tensor, text: Conditioning) -> torch.Tensor:
    """The transformer's answer in float32 for latents (n, c, h, w) at one time step or at n."""
    place, dtype, (count, _, height, width) = transformer.device, dtype_of(transformer), latents.shape
    tokens = latents.to(place, dtype).flatten(2).mT.contiguous()
    found = transformer(
        hidden_states=tokens,
        timestep=steps.to(place).expand(count) / 1000,
        guidance=None,
        encoder_hidden_states=text.states.to(dtype),
        img_ids=positions(1, height, width, 1, place=place),
        txt_ids=positions(1, 1, 1, text.states.shape[1], place=place),
    ).sample
    return found.mT.reshape(latents.shape).float()
