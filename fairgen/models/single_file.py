"""Base models in one safetensors file, in the key layout of the original Stable Diffusion code, as most sites offer them.

Such a file says nothing about its architecture, its tokenizer and its schedule. A local folder in diffusers' layout does:
that of the model which the file was trained from; of its weights none are needed. diffusers converts the keys.
"""

from pathlib import Path
from typing import Any

from fairgen.errors import FairgenError
from fairgen.models import locate

SUFFIXES = (".safetensors", ".ckpt")


def is_one(model: str) -> bool:
    """Whether a base model is a single file."""
    return Path(model).suffix in SUFFIXES


def config_folder(model: str, config: str | None) -> Path:
    """The folder that describes a single file.

    Raises:
        FairgenError: the file or the folder is not there, or the file is a pickle.
    """
    if Path(model).suffix == ".ckpt":
        raise FairgenError(f"diffusion.model: {model} is a pickle, which can run code; give its safetensors version")
    if not Path(locate(model)).is_file():
        raise FairgenError(f"diffusion.model: the file {model} does not exist; check the path")
    if config is None:
        raise FairgenError(
            f"diffusion.config: {model} is a single file; give the folder with the configs of its base model, for example"
            " from `hf download stable-diffusion-v1-5/stable-diffusion-v1-5 --include '*.json' '*.txt' --local-dir FOLDER`"
        )
    folder = Path(locate(config))
    if not (folder / "model_index.json").is_file():
        raise FairgenError(f"diffusion.config: {folder} holds no model_index.json; give a pipeline's folder in diffusers' layout")
    return folder


def load(kind: Any, model: str, folder: Path, part: str, dtype: Any) -> Any:
    """A denoiser, autoencoder or text encoder (`kind`) from the file, built as `folder` says.

    Raises:
        ValueError: the file does not hold this part, or not in this architecture.
    """
    options = {"config": str(folder), "subfolder": part, "torch_dtype": dtype, "local_files_only": True}
    try:
        if hasattr(kind, "from_single_file"):
            loaded = kind.from_single_file(locate(model), **options)
        else:
            from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm, load_single_file_checkpoint

            loaded = create_diffusers_clip_model_from_ldm(kind, load_single_file_checkpoint(locate(model)), **options)
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"its {part} is not that of {folder}: {error}") from error
    if absent := [name for name, weight in loaded.named_parameters() if weight.is_meta]:
        raise ValueError(f"its {part} lacks {len(absent)} weights, for example {absent[0]}")
    return loaded
