"""Stable Diffusion 1.x, 2.x and XL: a UNet that reads the text of one CLIP or of two."""

from typing import Any

import torch

from fairgen.core import devices
from fairgen.models.base_model import Base
from fairgen.models.conditioning import Conditioning
from fairgen.models.ddpm import Ddpm
from fairgen.models.eight_bits import dtype_of
from fairgen.models.lazy_imports import lean
from fairgen.models.lora import LORA_TARGETS
from fairgen.models.parts import Encoders, index
from fairgen.models.tokens import tokenize


def denoiser() -> Any:
    """Class of the denoiser."""
    with lean():
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    return UNet2DConditionModel


def autoencoder() -> Any:
    """Class of the autoencoder."""
    with lean():
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    return AutoencoderKL


def text(about: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Classes of each tokenizer and text encoder; SDXL has a second pair, `_2`."""
    with lean():
        from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection
        from transformers.models.clip.tokenization_clip import CLIPTokenizer

    second = {"_2": (CLIPTokenizer, CLIPTextModelWithProjection)} if "text_encoder_2" in about else {}
    return {"": (CLIPTokenizer, CLIPTextModel), **second}


def lora_targets(config: dict[str, Any]) -> list[str]:
    """All attention projections."""
    return list(LORA_TARGETS)


def process(base: Base) -> Ddpm:
    """The base's own noise schedule, with the prediction that its folder names."""
    return Ddpm(base)


def encode(base: Base, encoders: Encoders, prompts: list[str]) -> Conditioning:
    """One row of conditioning per prompt by these text encoders; gradients flow.

    SDXL concatenates the states before the last layer of both encoders and takes the pooled vector of the
    second one; where its folder asks for that, an empty prompt is all zeros.
    """
    place, outputs = devices.current(), []
    for tokenizer, encoder in encoders.values():
        ids = tokenize(tokenizer, prompts).to(place).input_ids
        outputs.append(encoder(ids, output_hidden_states=len(encoders) > 1))
    if len(encoders) == 1:
        return Conditioning(outputs[0].last_hidden_state.clone())
    states, pooled = (
        torch.cat([x.hidden_states[-2] for x in outputs], dim=-1),
        outputs[-1].text_embeds.clone(),
    )
    if index(base).get("force_zeros_for_empty_prompt", True):
        empty = torch.tensor([not prompt for prompt in prompts], device=place)
        states[empty], pooled[empty] = 0, 0
    side = float(base.resolution)
    return Conditioning(
        states, pooled, torch.tensor([[side, side, 0, 0, side, side]], device=place).repeat(len(prompts), 1)
    )


def predict(unet: Any, latents: torch.Tensor, steps: torch.Tensor, text: Conditioning) -> torch.Tensor:
    """The UNet's answer in float32 for latents (n, c, h, w) at one time step or at n."""
    place, dtype, added = unet.device, dtype_of(unet), None
    if text.pooled is not None:
        added = {"text_embeds": text.pooled.to(dtype), "time_ids": text.time_ids}
    states = text.states.to(dtype)
    return unet(latents.to(place, dtype), steps.to(place), states, added_cond_kwargs=added).sample.float()
