"""CLIP (Radford et al. 2021) in transformers' layout: image and text features on the unit sphere."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from fairgen.core import devices
from fairgen.core.errors import FairgenError
from fairgen.models import weights
from fairgen.models.checkpoints import locate, missing, quiet
from fairgen.models.lazy_imports import lean
from fairgen.models.tokens import check_tokenizer, tokenize


@dataclass
class Clip:
    """A loaded CLIP with the preprocessing that its own config states."""

    model: torch.nn.Module
    tokenizer: object
    size: int
    mean: torch.Tensor
    std: torch.Tensor

    @property
    def scale(self) -> float:
        """The learnt inverse temperature."""
        return float(self.model.logit_scale.detach().exp())

    def preprocess(self, pixels: np.ndarray) -> torch.Tensor:
        """(n, size, size, 3) uint8 to normalised (n, 3, size, size) float32."""
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        return ((x - self.mean) / self.std).to(self.model.device)

    @torch.inference_mode()
    def pooled(self, pixels: np.ndarray) -> torch.Tensor:
        """Vision features before the projection, (n, width)."""
        return self.model.vision_model(self.preprocess(pixels)).pooler_output.cpu()

    @torch.inference_mode()
    def images(self, pixels: np.ndarray) -> torch.Tensor:
        """Unit image features (n, d) of (n, size, size, 3) uint8."""
        pooled = self.model.vision_model(self.preprocess(pixels)).pooler_output
        return F.normalize(self.model.visual_projection(pooled), dim=-1).cpu()

    @torch.inference_mode()
    def texts(self, prompts: list[str]) -> torch.Tensor:
        """Unit text features (n, d)."""
        tokens = tokenize(self.tokenizer, prompts).to(self.model.device)
        states = self.model.text_model(
            input_ids=tokens.input_ids, attention_mask=tokens.attention_mask
        ).pooler_output
        return F.normalize(self.model.text_projection(states), dim=-1).cpu()


def load(model: str, key: str) -> Clip:
    """Load a CLIP; `key` is the config key that named it.

    Raises:
        FairgenError: the checkpoint cannot be found or read, is of another kind, or does not hold all its
            weights.
    """
    with lean():
        from transformers.models.clip.modeling_clip import CLIPModel
        from transformers.models.clip.tokenization_clip import CLIPTokenizer

    quiet()
    place = locate(model)
    check_kind(place, model, key)
    try:
        network = weights.load(CLIPModel, place, key, dtype=torch.float32).eval().to(devices.current())
        tokenizer = CLIPTokenizer.from_pretrained(place)
    except (OSError, ValueError) as error:
        raise missing(model, key, error) from error
    check_tokenizer(tokenizer, model, key)
    mean, std = normalisation(place, model, key)
    return Clip(network, tokenizer, network.config.vision_config.image_size, mean, std)


def check_kind(place: str, model: str, key: str) -> None:
    """The folder or id holds a CLIP.

    Raises:
        FairgenError: there is none, or it is another model, which transformers would load with random
            weights.
    """
    with lean():
        from transformers.configuration_utils import PreTrainedConfig

    try:
        about, _ = PreTrainedConfig.get_config_dict(place)
    except (OSError, ValueError) as error:
        raise missing(model, key, error) from error
    if (kind := about.get("model_type")) != "clip":
        raise FairgenError(
            f"{key}: {model} is no CLIP (config.json says model_type: {kind}); give a CLIP in transformers'"
            " layout, for example openai/clip-vit-large-patch14"
        )


def normalisation(place: str, model: str, key: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation (1, 3, 1, 1) of pixels in [0, 1] that the CLIP was trained with.

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
            f"{key}: {model} has no preprocessor_config.json with image_mean and image_std; put that of its"
            " CLIP into the folder"
        ) from error
    return mean, std
