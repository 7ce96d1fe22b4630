"""Base models in one safetensors file, in the key layout of the original Stable Diffusion code, as most sites
offer them.

Such a file says nothing about its architecture, its tokenizer and its schedule. A local folder in diffusers'
layout does: that of the model which the file was trained from; of its weights none are needed. diffusers
converts the keys.
"""

from pathlib import Path
from typing import Any

from fairgen.core import safetensors_header
from fairgen.core.errors import FairgenError
from fairgen.models import weights
from fairgen.models.checkpoints import locate

SUFFIXES = (".safetensors", ".ckpt")
# of the parts in a file
PREFIXES = ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.", "conditioner.")


def is_one(model: str) -> bool:
    """Whether a base model is a single file."""
    return Path(model).suffix in SUFFIXES


def config_folder(model: str, config: str | None) -> Path:
    """The folder that describes a single file.

    Raises:
        FairgenError: the file or the folder is not there, or the file is a pickle.
    """
    if Path(model).suffix == ".ckpt":
        raise FairgenError(
            f"diffusion.model: {model} is a pickle, which can run code; give its safetensors version"
        )
    if not Path(locate(model)).is_file():
        raise FairgenError(f"diffusion.model: the file {model} does not exist; check the path")
    if config is None:
        raise FairgenError(
            f"diffusion.config: {model} is a single file; give the folder with the configs of its base"
            " model, for example from `hf download stable-diffusion-v1-5/stable-diffusion-v1-5 --include"
            " '*.json' '*.txt' --local-dir FOLDER`"
        )
    folder = Path(locate(config))
    if not (folder / "model_index.json").is_file():
        raise FairgenError(
            f"diffusion.config: {folder} holds no model_index.json; give a pipeline's folder in diffusers'"
            " layout"
        )
    return folder


def check_prediction(model: str, prediction: str, zero_snr: bool) -> None:
    """A file says of some models how they were trained, by tensors that mean nothing else: the folder that
    describes it says the same.

    Args:
        model: the file.
        prediction: what the denoiser answers by the folder's scheduler.
        zero_snr: whether its schedule ends in noise alone.

    Raises:
        FairgenError: they contradict each other, and the file would be trained as what it is not.
    """
    names = safetensors_header.shapes(Path(locate(model))).keys()
    told = {
        "prediction_type: v_prediction": "v_pred" in names and prediction != "v_prediction",
        "rescale_betas_zero_snr: true": "ztsnr" in names and not zero_snr,
        "EDM's schedule, which fairgen does not train": any(name.startswith("edm_") for name in names),
    }
    if wrong := [what for what, holds in told.items() if holds]:
        raise FairgenError(
            f"diffusion.config: {model} says that it has {' and '.join(wrong)}, and the scheduler in this"
            " folder says otherwise; give the folder of the model that the file was trained from"
        )


def load(kind: Any, model: str, folder: Path, part: str, dtype: Any) -> Any:
    """A denoiser, autoencoder or text encoder (`kind`) from the file, built as `folder` says.

    Raises:
        FairgenError: the file lacks weights of this part, or has more than the folder describes.
        ValueError: the file does not hold this part, or not in this architecture.
    """
    from diffusers.loaders.single_file_utils import (
        create_diffusers_clip_model_from_ldm,
        load_single_file_checkpoint,
    )

    options = {"config": str(folder), "subfolder": part, "torch_dtype": dtype, "local_files_only": True}
    tensors, place = (
        load_single_file_checkpoint(locate(model)),
        f"{model} (its {part}, as {folder.name} describes it)",
    )
    whole = [fault for fault in weights.integers(Path(locate(model))) if fault.startswith(PREFIXES)]
    weights.complete(place, (), mismatched=whole, key="diffusion.model")
    try:
        if hasattr(kind, "from_single_file"):
            wanted, found = names(kind, folder, part, dict(tensors))
            weights.complete(place, wanted - found, found - wanted, key="diffusion.model")
            return kind.from_single_file(tensors, **options)
        loaded = create_diffusers_clip_model_from_ldm(kind, tensors, **options)
    except FairgenError:
        raise
    except Exception as error:  # whatever diffusers says about a file of another layout
        raise ValueError(f"its {part} is not as {folder.name} describes it: {error}") from error
    # of more weights nothing is said: Stable Diffusion 2's file has a layer of the text encoder that nothing
    # reads
    weights.complete(
        place, [name for name, weight in loaded.named_parameters() if weight.is_meta], key="diffusion.model"
    )
    return loaded


def names(kind: Any, folder: Path, part: str, tensors: dict[str, Any]) -> tuple[set[str], set[str]]:
    """The weights of a denoiser or autoencoder: those that it has, and those that diffusers finds in a file
    for it.
    """
    from accelerate import init_empty_weights
    from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES

    config = kind.load_config(str(folder), subfolder=part)
    with init_empty_weights():
        wanted = set(kind.from_config(config).state_dict())
    return wanted, set(
        SINGLE_FILE_LOADABLE_CLASSES[kind.__name__]["checkpoint_mapping_fn"](
            config=config, checkpoint=tensors
        )
    )
