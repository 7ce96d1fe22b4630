"""Tokens of prompts: counted, and never cut off."""

from typing import Any

from fairgen.core.errors import FairgenError
from fairgen.models.checkpoints import missing


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


def check_tokenizer(tokenizer: Any, model: str, key: str) -> None:
    """A tokenizer has words.

    Raises:
        FairgenError: it has none: transformers makes such a one where the files are missing, instead of
            failing.
    """
    if len(tokenizer.get_vocab()) <= len(tokenizer.all_special_tokens):
        raise missing(model, key, FileNotFoundError("its tokenizer is not there"))


def count_tokens(tokenizer: Any, prompts: list[str]) -> list[int]:
    """Tokens of each prompt, start and end included."""
    return [len(ids) for ids in tokenizer(prompts, verbose=False)["input_ids"]]
