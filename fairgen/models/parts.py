"""The parts of a base: its index, and each part loaded by its name, from the hub, a folder or a file."""

import json
from pathlib import Path
from typing import Any

import torch

from fairgen.core import devices
from fairgen.core.errors import FairgenError
from fairgen.models import single_file, weights
from fairgen.models.base_model import Base
from fairgen.models.checkpoints import missing, quiet
from fairgen.models.pipelines import ARCHITECTURES, Layout, fault, unread

# tokenizer and text encoder, by the encoder's name in a pipeline
Encoders = dict[str, tuple[Any, torch.nn.Module]]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def index_file(base: Base) -> Path:
    """The base's `model_index.json`, in its folder or in the hub's cache.

    Raises:
        FairgenError: the hub does not have it.
    """
    place = Path(base.layout)
    if place.is_dir():
        return place / "model_index.json"
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(base.model, "model_index.json", revision=base.revision))
    except (OSError, ValueError) as error:
        raise missing(base.model, "diffusion.model", error) from error


def index(base: Base) -> dict[str, Any]:
    """What the base's folder says about itself.

    Raises:
        FairgenError: the base is not to be had, of an architecture that fairgen does not know, distilled, or
            a single file of one whose files are not read.
    """
    try:
        found = json.loads(index_file(base).read_text())
    except (OSError, ValueError) as error:
        raise missing(base.model, "diffusion.model", error) from error
    if wrong := fault(base.model, found) or unread(base.model, found):
        raise FairgenError(f"diffusion.model: {wrong}")
    return found


def layout(base: Base) -> Layout:
    """Where the parts of a base lie."""
    return ARCHITECTURES[index(base)["_class_name"]]


def config(kind: Any, base: Base, part: str) -> dict[str, Any]:
    """The config of a part of the base; `kind` is its class.

    Raises:
        FairgenError: it is not there, or cannot be read.
    """
    try:
        return kind.load_config(base.layout, subfolder=part, revision=base.revision)
    except (OSError, ValueError) as error:
        raise missing(base.model, "diffusion.model", error) from error


def check_dtype(base: Base) -> None:
    """Refuse what this job's device cannot compute in.

    Raises:
        FairgenError: bfloat16 on a GPU without it.
    """
    on_gpu = devices.current().type == "cuda"
    if base.dtype == "bfloat16" and on_gpu and not torch.cuda.is_bf16_supported(including_emulation=False):
        name = torch.cuda.get_device_name()
        raise FairgenError(
            f"diffusion.dtype: {name} does not compute in bfloat16; set float16, or float32 if images break"
        )


def load_part(kind: Any, base: Base, part: str, **options: Any) -> Any:
    """A part of the base by its name in a pipeline; `kind` is its class.

    Raises:
        FairgenError: it is not there, cannot be read, or does not hold all its weights.
    """
    quiet()
    check_dtype(base)
    place, common = base.layout, {"subfolder": part, "revision": base.revision}
    try:
        if not options:
            return small(kind, place, common)
        if single_file.is_one(base.model):
            return single_file.load(kind, base.model, Path(place), part, *options.values())
        more = {"variant": base.variant, "use_safetensors": True, **options}
        return weights.load(kind, place, "diffusion.model", **common, **more)
    except (OSError, ValueError) as error:
        raise missing(base.model, "diffusion.model", error) from error


def small(kind: Any, place: str, common: dict[str, Any]) -> Any:
    """A part without weights: a scheduler or a tokenizer.

    Raises:
        ValueError: its files do not hold what they should.
    """
    try:
        return kind.from_pretrained(place, **common)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{common['subfolder']}: {type(error).__name__} {error}") from error
