"""Image-text models: features of images and of texts on one unit sphere.

Each family says how it takes images and texts; the similarity of an image and a text is the cosine of their
features, and `scale` the inverse temperature that the model has learnt for it.
"""

from abc import ABC
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn import functional as F

from fairgen.models import tokenizer_file
from fairgen.models.families import FAMILIES
from fairgen.models.lazy_imports import lean


class Contrastive(ABC):
    """A loaded model with the preprocessing that its own config states; texts are those of a tokenizer of one
    file.

    Attributes:
        family: its `model_type`, which is also the name of transformers' package.
        network_class: transformers' class of the network in it.
        network: transformers' model.
        words: its tokenizer.
        size: height and width of the pictures that it takes.
        mean: of pixels in [0, 1] that it was trained with, (1, 3, 1, 1).
        std: their deviation, (1, 3, 1, 1).
    """

    family: ClassVar[str]
    network_class: ClassVar[str]

    def __init__(self, network: Any, words: Any, mean: torch.Tensor, std: torch.Tensor) -> None:
        self.network, self.words, self.mean, self.std = network, words, mean, std
        self.size = self.side(network.config.vision_config)

    @classmethod
    def architecture(cls) -> type:
        """transformers' class of the network."""
        with lean():
            module = import_module(f"transformers.models.{cls.family}.modeling_{cls.family}")
        found: type = getattr(module, cls.network_class)
        return found

    @classmethod
    def read_words(cls, place: str, limit: int, model: str, key: str) -> Any:
        """The tokenizer of a folder or hub id; `limit` is the number of tokens that the text tower reads.

        Raises:
            FairgenError: it has no words.
            OSError, ValueError: it cannot be read.
        """
        return tokenizer_file.load(place, limit, FAMILIES[cls.family].lowercase)

    @staticmethod
    def side(vision: Any) -> int:
        """Height and width of its pictures, from the vision tower's config."""
        return int(vision.image_size)

    @property
    def scale(self) -> float:
        """The learnt inverse temperature."""
        return float(self.network.logit_scale.detach().exp())

    def preprocess(self, pixels: np.ndarray) -> torch.Tensor:
        """(n, size, size, 3) uint8 to normalised (n, 3, size, size) float32."""
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        return ((x - self.mean) / self.std).to(self.network.device)

    def vision(self, pixels: np.ndarray) -> dict[str, torch.Tensor]:
        """What the vision tower takes of (n, size, size, 3) uint8."""
        return {"pixel_values": self.preprocess(pixels)}

    def tokens(self, prompts: list[str]) -> dict[str, torch.Tensor]:
        """What the text tower takes of some prompts: tokens padded to the limit, without a mask.

        Raises:
            FairgenError: a prompt is longer than it reads.
        """
        return {"input_ids": torch.tensor(self.words.padded(prompts), device=self.network.device)}

    def projected(self, pooled: torch.Tensor, tower: str) -> torch.Tensor:
        """A tower's pooled states (n, width) in the space that both share, (n, d)."""
        return pooled

    @torch.inference_mode()
    def pooled(self, pixels: np.ndarray) -> torch.Tensor:
        """Vision features before the projection, (n, width)."""
        return self.network.vision_model(**self.vision(pixels)).pooler_output.cpu()

    @torch.inference_mode()
    def images(self, pixels: np.ndarray) -> torch.Tensor:
        """Unit image features (n, d) of (n, size, size, 3) uint8."""
        pooled = self.network.vision_model(**self.vision(pixels)).pooler_output
        return F.normalize(self.projected(pooled, "visual"), dim=-1).cpu()

    @torch.inference_mode()
    def texts(self, prompts: list[str]) -> torch.Tensor:
        """Unit text features (n, d)."""
        pooled = self.network.text_model(**self.tokens(prompts)).pooler_output
        return F.normalize(self.projected(pooled, "text"), dim=-1).cpu()
