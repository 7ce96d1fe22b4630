"""Stable Diffusion 3 and 3.5: a multimodal transformer (arXiv 2403.03206) that reads two CLIPs and, where its
folder has one, T5.
"""

from typing import Any

import torch

from fairgen.core import devices
from fairgen.models.architectures.stable_diffusion import autoencoder
from fairgen.models.base_model import Base
from fairgen.models.conditioning import Conditioning
from fairgen.models.eight_bits import dtype_of
from fairgen.models.flow import Flow, linear_mu
from fairgen.models.lazy_imports import lean
from fairgen.models.lora import LORA_TARGETS
from fairgen.models.parts import Encoders, config
from fairgen.models.pipelines import T5, encoders_of
from fairgen.models.tokens import tokenize

__all__ = ["autoencoder", "denoiser", "encode", "lora_targets", "predict", "process", "text"]


def denoiser() -> Any:
    """Class of the denoiser."""
    with lean():
        from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel

    return SD3Transformer2DModel


def text(about: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Classes of each tokenizer and text encoder."""
    with lean():
        from transformers.models.clip.modeling_clip import CLIPTextModelWithProjection
        from transformers.models.clip.tokenization_clip import CLIPTokenizer
        from transformers.models.t5.modeling_t5 import T5EncoderModel
        from transformers.models.t5.tokenization_t5 import T5Tokenizer

    clip, t5 = (CLIPTokenizer, CLIPTextModelWithProjection), (T5Tokenizer, T5EncoderModel)
    return {suffix: t5 if kind is T5 else clip for suffix, kind in encoders_of(about).items()}


def lora_targets(config: dict[str, Any]) -> list[str]:
    """All attention projections, those of the text's stream included."""
    return [*LORA_TARGETS, "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out"]


def grid(config: Any, steps: int, shape: torch.Size) -> dict[str, Any]:
    """The scheduler's own steps; with μ where it shifts by the picture's size."""
    tokens = (shape[-2] // 2) * (shape[-1] // 2)
    shift = {"mu": linear_mu(config, tokens)} if config.use_dynamic_shifting else {}
    return {"num_inference_steps": steps, **shift}


def process(base: Base) -> Flow:
    """Flow matching."""
    return Flow(base, grid)


def encode(base: Base, encoders: Encoders, prompts: list[str]) -> Conditioning:
    """One row of conditioning per prompt: 77 tokens of the CLIPs side by side, widened by zeros, then 256 of
    T5 or as many zeros; pooled, both CLIPs' vectors.
    """
    place = devices.current()
    ids = {name: tokenize(words, prompts).to(place).input_ids for name, (words, _) in encoders.items()}
    clips = [
        encoders[name][1](ids[name], output_hidden_states=True) for name in ("text_encoder", "text_encoder_2")
    ]
    clip = torch.cat([x.hidden_states[-2] for x in clips], dim=-1)
    if "text_encoder_3" in encoders:
        long = encoders["text_encoder_3"][1](ids["text_encoder_3"]).last_hidden_state
    else:
        width = config(denoiser(), base, "transformer")["joint_attention_dim"]
        long = clip.new_zeros(len(prompts), T5.tokens, width)
    clip = torch.nn.functional.pad(clip, (0, long.shape[-1] - clip.shape[-1]))
    pooled = torch.cat([x.text_embeds for x in clips], dim=-1)
    return Conditioning(torch.cat([clip, long], dim=1), pooled)


def predict(transformer: Any, latents: torch.Tensor, steps: torch.Tensor, text: Conditioning) -> torch.Tensor:
    """The transformer's answer in float32 for latents (n, c, h, w) at one time step or at n."""
    place, dtype = transformer.device, dtype_of(transformer)
    assert text.pooled is not None
    return transformer(
        hidden_states=latents.to(place, dtype),
        timestep=steps.to(place).expand(len(latents)),
        encoder_hidden_states=text.states.to(dtype),
        pooled_projections=text.pooled.to(dtype),
    ).sample.float()
