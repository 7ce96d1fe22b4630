"""The text encoders of a base: prompts to the conditioning of its denoiser."""

from typing import Any

import torch

from fairgen.core import devices
from fairgen.models import base_model, diffusion
from fairgen.models.lazy_imports import lean
from fairgen.models.tokens import check_tokenizer, tokenize


def load_tokenizer(base: base_model.Base, suffix: str = "") -> Any:
    """The tokenizer of the base's text encoder; SDXL's second one has the suffix `_2`.

    Raises:
        FairgenError: there is none.
    """
    with lean():
        from transformers.models.clip.tokenization_clip import CLIPTokenizer

    tokenizer = diffusion.load_part(CLIPTokenizer, base, f"tokenizer{suffix}")
    check_tokenizer(tokenizer, base.model, "diffusion.model")
    return tokenizer


def load_text(base: base_model.Base, dtype: torch.dtype | None = None) -> diffusion.Encoders:
    """Every text encoder by its name, frozen and in evaluation mode, with its tokenizer; `dtype` overrides
    the base's.
    """
    with lean():
        from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

    found = {}
    for suffix in diffusion.ARCHITECTURES[diffusion.index(base)["_class_name"]]:
        kind, part = CLIPTextModelWithProjection if suffix else CLIPTextModel, f"text_encoder{suffix}"
        encoder = (
            diffusion.load_part(kind, base, part, dtype=dtype or diffusion.DTYPES[base.dtype])
            .requires_grad_(False)
            .eval()
        )
        found[part] = (load_tokenizer(base, suffix), encoder.to(devices.current()))
    return found


@torch.inference_mode()
def encode_prompts(base: base_model.Base, prompts: list[str]) -> diffusion.Conditioning:
    """One row of conditioning per prompt; the text encoders are released afterwards."""
    return encode(base, load_text(base), prompts)


def encode(base: base_model.Base, encoders: diffusion.Encoders, prompts: list[str]) -> diffusion.Conditioning:
    """One row of conditioning per prompt by these text encoders; gradients flow.

    SDXL concatenates the states before the last layer of both encoders and takes the pooled vector of the
    second one; where its folder asks for that, an empty prompt is all zeros.
    """
    about, place = diffusion.index(base), devices.current()
    outputs = []
    for tokenizer, encoder in encoders.values():
        ids = tokenize(tokenizer, prompts).to(place).input_ids
        outputs.append(encoder(ids, output_hidden_states=len(encoders) > 1))
    if len(encoders) == 1:
        return diffusion.Conditioning(outputs[0].last_hidden_state.clone())
    states, pooled = (
        torch.cat([x.hidden_states[-2] for x in outputs], dim=-1),
        outputs[-1].text_embeds.clone(),
    )
    if about.get("force_zeros_for_empty_prompt", True):
        empty = torch.tensor([not prompt for prompt in prompts], device=place)
        states[empty], pooled[empty] = 0, 0
    side = float(base.resolution)
    return diffusion.Conditioning(
        states, pooled, torch.tensor([[side, side, 0, 0, side, side]], device=place).repeat(len(prompts), 1)
    )
