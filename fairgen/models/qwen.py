"""Qwen3 as a text encoder: a prompt in the model's chat template, padded, to hidden states of some layers."""

from collections.abc import Sequence
from typing import Any

import torch

from fairgen.core import devices
from fairgen.core.errors import FairgenError
from fairgen.models.lazy_imports import lean
from fairgen.models.pipelines import named
from fairgen.models.tokens import tokenize


def classes(about: dict[str, Any]) -> tuple[Any, Any]:
    """Classes of the tokenizer and of the text encoder, which a folder has with or without its language-model
    head; `about` is its index, which names one of `pipelines.QWEN`.
    """
    with lean():
        from transformers.models.qwen2.tokenization_qwen2 import Qwen2Tokenizer
        from transformers.models.qwen3 import modeling_qwen3

    return Qwen2Tokenizer, getattr(modeling_qwen3, named(about, "")[1])


def hidden_states(
    tokenizer: Any, encoder: Any, prompts: list[str], layers: Sequence[int], thinking: bool
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """States (n, length, width) after each of the layers, and which of them (n, length) are no padding.

    Raises:
        FairgenError: the tokenizer has no chat template, or a prompt is too long.
    """
    if not tokenizer.chat_template:
        raise FairgenError("diffusion.model: its tokenizer has no chat template; fetch the model again")
    chats = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=thinking,
        )
        for prompt in prompts
    ]
    tokens = tokenize(tokenizer, chats).to(devices.current())
    # its head, which would take a vocabulary's width of memory, is left out
    body = getattr(encoder, "model", encoder)
    outputs = body(
        input_ids=tokens.input_ids,
        attention_mask=tokens.attention_mask,
        output_hidden_states=True,
        use_cache=False,
    )
    return [outputs.hidden_states[layer] for layer in layers], tokens.attention_mask.bool()
