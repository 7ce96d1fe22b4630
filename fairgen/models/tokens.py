"""Tokens of prompts: counted, and never cut off."""

from collections.abc import Sequence
from typing import Any

from fairgen.core.errors import FairgenError
from fairgen.models.checkpoints import missing

TEMPLATE = 64  # tokens of a chat around a prompt, at most


def tokenize(tokenizer: Any, prompts: list[str]) -> Any:
    """Padded tokens of the prompts, as tensors.

    Raises:
        FairgenError: a prompt is longer than the text encoder reads; cut off, it would lose its end token.
    """
    for prompt, count in zip(prompts, count_tokens(tokenizer, prompts), strict=True):
        if count > tokenizer.model_max_length:
            raise FairgenError(
                f"prompt '{prompt}' has {count} tokens, and the text encoder reads"
                f" {tokenizer.model_max_length}; shorten it"
            )
    return tokenizer(prompts, padding="max_length", return_tensors="pt")


def cut(tokenizers: Sequence[Any], prompt: str) -> str:
    """A prompt up to the last word that all of the tokenizers have room for."""
    words = prompt.split()
    while len(words) > 1 and not all(has_room(tokenizer, " ".join(words)) for tokenizer in tokenizers):
        words.pop()
    return " ".join(words)


def has_room(tokenizer: Any, prompt: str) -> bool:
    """Whether a text encoder reads a prompt to its end, in the chat around it if there is one."""
    around = TEMPLATE if getattr(tokenizer, "chat_template", None) else 0
    return count_tokens(tokenizer, [prompt])[0] + around <= tokenizer.model_max_length


def check_tokenizer(tokenizer: Any, model: str, key: str) -> None:
    """A tokenizer has words.

    Raises:
        FairgenError: it has none: transformers makes such a one where the files are missing, instead of
            failing.
    """
    # T5's has a mark for spaces even so
    if len(tokenizer.get_vocab()) <= len(tokenizer.all_special_tokens) + 1:
        raise missing(model, key, FileNotFoundError("its tokenizer is not there"))


def count_tokens(tokenizer: Any, prompts: list[str]) -> list[int]:
    """Tokens of each prompt, start and end included."""
    return [len(ids) for ids in tokenizer(prompts, verbose=False)["input_ids"]]
