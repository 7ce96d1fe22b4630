"""Tokenizers of one file, `tokenizer.json`, as the `tokenizers` library reads it; without torch."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairgen.core.errors import FairgenError

FILES = ("tokenizer.json", "tokenizer_config.json")


@dataclass(frozen=True)
class TokenizerFile:
    """A tokenizer with the tokens that end and pad a text, and the number of tokens that are read."""

    tokenizer: Any
    end: int
    pad: int
    limit: int
    lowercase: bool

    def ids(self, prompt: str) -> list[int]:
        """Tokens of a prompt, the end included."""
        found = list(self.tokenizer.encode(prompt.lower() if self.lowercase else prompt).ids)
        return found if found[-1:] == [self.end] else [*found, self.end]

    def padded(self, prompts: Sequence[str]) -> list[list[int]]:
        """Tokens of each prompt, padded on the right to the limit.

        Raises:
            FairgenError: a prompt is longer than that; cut off, it would lose its end token.
        """
        rows = [self.ids(prompt) for prompt in prompts]
        for prompt, row in zip(prompts, rows, strict=True):
            if len(row) > self.limit:
                raise FairgenError(
                    f"prompt '{prompt}' has {len(row)} tokens, and the text encoder reads {self.limit};"
                    " shorten it"
                )
        return [row + [self.pad] * (self.limit - len(row)) for row in rows]


def read(file: Path, settings: Path, limit: int, lowercase: bool) -> TokenizerFile:
    """Read a tokenizer.

    Args:
        file: its tokenizer.json.
        settings: its tokenizer_config.json, which names the tokens that end and pad a text.
        limit: tokens that the text encoder reads, start and end included.
        lowercase: texts are made lower-case first.

    Raises:
        OSError, ValueError: a file cannot be read, or the tokenizer has no such token.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(file.read_text())
    except OSError:
        raise
    except Exception as error:  # the library's own, without a class
        raise ValueError(f"{file.name} is damaged: {error}") from error
    # what a batch was once cut to or filled up to may stand in the file
    tokenizer.no_truncation()
    tokenizer.no_padding()
    stated = json.loads(settings.read_text())
    end, pad = (_number(tokenizer, stated, name) for name in ("eos_token", "pad_token"))
    return TokenizerFile(tokenizer, end, pad, limit, lowercase)


def load(place: str, limit: int, lowercase: bool) -> TokenizerFile:
    """Read the tokenizer of a folder or hub id; see `read`."""
    from transformers.utils.hub import cached_file

    file, settings = (cached_file(place, name) for name in FILES)
    return read(Path(file), Path(settings), limit, lowercase)


def _number(tokenizer: Any, stated: dict[str, Any], name: str) -> int:
    """The number of a token that tokenizer_config.json names, as text or with its `content`."""
    word = stated.get(name)
    word = word.get("content") if isinstance(word, dict) else word
    number = tokenizer.token_to_id(word) if isinstance(word, str) else None
    if number is None:
        raise ValueError(f"tokenizer_config.json names no {name} of the tokenizer")
    return int(number)
