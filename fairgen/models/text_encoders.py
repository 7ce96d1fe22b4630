"""The text encoders of a base: prompts to the conditioning of its denoiser."""

from typing import Any

import torch

from fairgen.core import devices
from fairgen.models import architectures, eight_bits
from fairgen.models.base_model import Base
from fairgen.models.conditioning import Conditioning, joined
from fairgen.models.parts import DTYPES, Encoders, index, layout, load_part
from fairgen.models.tokens import check_tokenizer, cut

AT_ONCE = 16  # prompts, of which a long one takes 8 MB encoded


def load_text(base: Base, dtype: torch.dtype | None = None) -> Encoders:
    """Every text encoder by its name, frozen and in evaluation mode, with its tokenizer; `dtype` overrides
    the base's, and is for those whose weights will change.
    """
    found = {}
    for suffix, (_, kind) in architectures.of(base).text(index(base)).items():
        part = f"text_encoder{suffix}"
        encoder = load_part(kind, base, part, dtype=dtype or DTYPES[base.dtype]).requires_grad_(False).eval()
        if base.memory == "low" and dtype is None:
            eight_bits.reduce(encoder)
        found[part] = (load_tokenizer(base, suffix), encoder.to(devices.current()))
    return found


def load_tokenizer(base: Base, suffix: str = "") -> Any:
    """The tokenizer of the base's text encoder; the second one of some has the suffix `_2`.

    Raises:
        FairgenError: there is none.
    """
    kind, _ = architectures.of(base).text(index(base))[suffix]
    tokenizer = load_part(kind, base, f"tokenizer{suffix}")
    tokenizer.model_max_length = layout(base).encoders[suffix].tokens or tokenizer.model_max_length
    check_tokenizer(tokenizer, base.model, "diffusion.model")
    return tokenizer


def fitting(base: Base, prompts: list[str]) -> list[str]:
    """The prompts, cut (`tokens.cut`) to what every text encoder of the base reads."""
    suffixes = architectures.of(base).text(index(base))
    tokenizers = [load_tokenizer(base, suffix) for suffix in suffixes]
    return [cut(tokenizers, prompt) for prompt in prompts]


@torch.inference_mode()
def encode_prompts(base: Base, prompts: list[str]) -> Conditioning:
    """One row of conditioning per prompt, those of many on the CPU; the text encoders are released
    afterwards.
    """
    encoders = load_text(base)
    if len(prompts) <= AT_ONCE:
        return encode(base, encoders, prompts)
    parts = [prompts[i : i + AT_ONCE] for i in range(0, len(prompts), AT_ONCE)]
    return joined([encode(base, encoders, part).to(torch.device("cpu")) for part in parts])


def encode(base: Base, encoders: Encoders, prompts: list[str]) -> Conditioning:
    """One row of conditioning per prompt by these text encoders; gradients flow."""
    return architectures.of(base).encode(base, encoders, prompts)
