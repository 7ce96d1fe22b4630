"""The model that judges samples by their prompts, of whichever family its config names."""

import torch

from fairgen.core import devices
from fairgen.core.errors import FairgenError
from fairgen.models import families, weights
from fairgen.models.checkpoints import locate, missing, quiet
from fairgen.models.clip import Clip, MetaClip2
from fairgen.models.contrastive import Contrastive
from fairgen.models.lazy_imports import lean
from fairgen.models.siglip import Siglip, Siglip2

READERS: dict[str, type[Contrastive]] = {own.family: own for own in (Clip, MetaClip2, Siglip, Siglip2)}


def load(model: str, key: str) -> Contrastive:
    """Load an image-text model in transformers' layout; `key` is the config key that named it.

    Raises:
        FairgenError: the checkpoint cannot be found or read, is of no family that fairgen reads, or does not
            hold all its weights.
    """
    with lean():
        from transformers.configuration_utils import PreTrainedConfig

    quiet()
    place = locate(model)
    try:
        about, _ = PreTrainedConfig.get_config_dict(place)
    except (OSError, ValueError) as error:
        raise missing(model, key, error) from error
    kind = families.family(about, model, key)
    reader, limit = READERS[kind], families.FAMILIES[kind].limit(about)
    try:
        network = weights.load(reader.architecture(), place, key, dtype=torch.float32)
        words = reader.read_words(place, limit, model, key)
    except (OSError, ValueError) as error:
        raise missing(model, key, error) from error
    mean, std = normalisation(place, model, key)
    return reader(network.eval().to(devices.current()), words, mean, std)


def normalisation(place: str, model: str, key: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation (1, 3, 1, 1) of pixels in [0, 1] that the model was trained with.

    Raises:
        FairgenError: the folder does not say.
    """
    with lean():
        from transformers.image_processing_base import ImageProcessingMixin

    try:
        steps, _ = ImageProcessingMixin.get_image_processor_dict(place)
        mean, std = (torch.tensor(steps[name]).view(1, 3, 1, 1) for name in ("image_mean", "image_std"))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise FairgenError(
            f"{key}: {model} has no preprocessor_config.json with image_mean and image_std; put that of the"
            " model into the folder"
        ) from error
    return mean, std
