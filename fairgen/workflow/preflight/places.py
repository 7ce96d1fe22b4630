"""Where the models of a config lie: local folders and files, and the hub's cache."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from fairgen.models import single_file
from fairgen.models.checkpoints import locate
from fairgen.models.pipelines import ARCHITECTURES, Layout
from fairgen.workflow.method_chain import Config


def is_local(model: str) -> bool:
    """Whether a model is a place on this machine, there or not, rather than a hub id."""
    return (
        Path(model).exists()
        or model.startswith((".", "/", "~", "fairgen:"))
        or model.count("/") > 1
        or "\\" in model
    )


@cache
def snapshot(model: str, revision: str | None, file: str) -> Path | None:
    """The folder of a hub id in the local cache, by one of its files."""
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(model, file, revision=revision)
    except ValueError:  # no hub id
        return None
    return Path(found).parent if isinstance(found, str) else None


def offline() -> bool:
    """Whether the hub is not to be asked."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def logged_in() -> bool:
    """Whether the hub knows who asks."""
    from huggingface_hub import get_token

    return get_token() is not None


def base_folder(diffusion: Config) -> Path | None:
    """The local folder in diffusers' layout that describes the base; None where there is none (yet)."""
    model = diffusion["model"]
    if single_file.is_one(model):
        place: Path | None = Path(locate(diffusion["config"] or ""))
    elif is_local(model):
        place = Path(locate(model))
    else:
        place = snapshot(model, diffusion["revision"], "model_index.json")
    return place if place and (place / "model_index.json").is_file() else None


def denoiser_files(diffusion: Config) -> list[Path]:
    """The weight files of the denoiser of a base in diffusers' layout; none for one that is not there
    (yet).
    """
    folder = base_folder(diffusion)
    own = layout(folder) if folder else None
    files = sorted((folder / own.denoiser).glob("*.safetensors")) if folder and own else []
    if diffusion["variant"]:
        return [file for file in files if file.name.split(".")[1].split("-")[0] == diffusion["variant"]]
    return [file for file in files if file.name.count(".") == 1] or files[:1]


def image_text_folder(model: str) -> Path | None:
    """The local folder of an image-text model in transformers' layout; None where there is none (yet)."""
    return Path(locate(model)) if is_local(model) else snapshot(model, None, "config.json")


def read(path: Path) -> dict[str, Any] | None:
    """A JSON file's object; None where it is none."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def layout(folder: Path) -> Layout | None:
    """Where a base's parts lie; None for an architecture that fairgen does not know."""
    return ARCHITECTURES.get((read(folder / "model_index.json") or {}).get("_class_name", ""))
