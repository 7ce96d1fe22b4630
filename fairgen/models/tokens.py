"""Tokens of prompts: counted, and never cut off."""

import bisect
from collections.abc import Sequence
from typing import Any

from fairgen.core.errors import FairgenError
from fairgen.models.checkpoints import missing

UNSTATED = 10**6  # tokens: what transformers takes where no file states a limit is more
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
    """A prompt up to the last word that all of the tokenizers have room for; within a word where that would
    leave less than half of it, as in writing without spaces.
    """
    prompt = " ".join(prompt.split())

    def fits(length: int) -> bool:
        return all(has_room(tokenizer, prompt[:length]) for tokenizer in tokenizers)

    if fits(len(prompt)):
        return prompt
    longest = max(bisect.bisect_left(range(len(prompt)), True, key=lambda n: not fits(n)) - 1, 0)
    end = longest if prompt[longest] == " " else prompt.rfind(" ", 0, longest)
    return prompt[: end if end > longest // 2 else longest].rstrip()


def has_room(tokenizer: Any, prompt: str) -> bool:
    """Whether a text encoder reads a prompt to its end, in the chat around it if there is one."""
    around = TEMPLATE if getattr(tokenizer, "chat_template", None) else 0
    return count_tokens(tokenizer, [prompt])[0] + around <= tokenizer.model_max_length


def check_tokenizer(tokenizer: Any, model: str, key: str) -> None:
    """A tokenizer has words and says how many of them it takes.

    Raises:
        FairgenError: it does not: transformers makes such a one where files are missing, instead of failing.
    """
    # T5's has a mark for spaces even so
    if len(tokenizer.get_vocab()) <= len(tokenizer.all_special_tokens) + 1:
        raise missing(model, key, FileNotFoundError("its tokenizer is not there"))
    if tokenizer.model_max_length > UNSTATED:  # it would pad to no length at all
        why = "no tokenizer_config.json of its tokenizer says how long prompts may be (model_max_length)"
        raise missing(model, key, FileNotFoundError(why))


def count_tokens(tokenizer: Any, prompts: list[str]) -> list[int]:
    """Tokens of each prompt, start and end included."""
    return [len(ids) for ids in tokenizer(prompts, verbose=False)["input_ids"]]
