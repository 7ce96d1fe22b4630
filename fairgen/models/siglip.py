"""SigLIP (Zhai et al. 2023, arXiv 2303.15343) and SigLIP 2 (Tschannen et al. 2025, arXiv 2502.14786).

Their probability of a pair is a sigmoid of scale · cosine + bias, one text at a time. A softmax over several
texts of one image has no use for the bias: it is the same for all of them and cancels.
"""

from math import isqrt
from typing import Any

import numpy as np
import torch

from fairgen.models.contrastive import Contrastive


class Siglip(Contrastive):
    """SigLIP, and SigLIP 2 of one picture size: no projection of images, texts of full length in lower case.

    Padding is attended, and a text is taken at its last place.
    """

    family = "siglip"
    network_class = "SiglipModel"


class Siglip2(Siglip):
    """SigLIP 2 of any number of patches (NaFlex): a square picture of as many as it was trained with."""

    family = "siglip2"
    network_class = "Siglip2Model"

    @staticmethod
    def side(vision: Any) -> int:
        """The largest square of no more than the config's number of patches."""
        return isqrt(vision.num_patches) * int(vision.patch_size)

    def vision(self, pixels: np.ndarray) -> dict[str, torch.Tensor]:
        """Patches row by row, each flattened pixel by pixel (n, patches, patch² · 3), all of them seen."""
        patch = int(self.network.config.vision_config.patch_size)
        n, rows = len(pixels), self.size // patch
        x = self.preprocess(pixels).reshape(n, 3, rows, patch, rows, patch)
        place = self.network.device
        return {
            "pixel_values": x.permute(0, 2, 4, 3, 5, 1).reshape(n, rows * rows, patch * patch * 3),
            "pixel_attention_mask": torch.ones(n, rows * rows, dtype=torch.int32, device=place),
            "spatial_shapes": torch.tensor([[rows, rows]], device=place).repeat(n, 1),
        }
