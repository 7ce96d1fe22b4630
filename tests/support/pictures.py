"""Made-up photographs."""

import numpy as np
from PIL import Image


def photo(seed: int, side: int = 160) -> Image.Image:
    """A smooth random picture, as structured as a photograph."""
    coarse = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
