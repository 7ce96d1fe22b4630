"""Images of more than 8 bits a channel, or of numbers that are no whole ones: what counts as white in them.

Most files do not say how many of their bits they use: 12 of 16 are common. Integers are taken to fill the
smallest usual depth that holds the largest of them; real numbers go from 0 to 1, or from 0 to 255. What fits
none of that has an unknown scale, and is an error rather than a black picture.
"""

from typing import cast

import numpy as np
from PIL import Image, ImageFile

DEPTHS = (8, 10, 12, 14, 16)  # bits of cameras and scanners
HALF = 0.5 / 255  # rounding errors up to half a grey level are no other scale
BITS, INTERPRETATION = 258, 262  # TIFF tags


def is_deep(image: Image.Image) -> bool:
    """Whether an image is one channel of 16 or 32 bits."""
    return image.mode.startswith(("I", "F"))


def states_16_bits(image: ImageFile.ImageFile) -> bool:
    """Whether an image that is not loaded yet stores 16 bits a channel, of which Pillow keeps the upper 8."""
    return not is_deep(image) and any(";16" in str(tile) for tile in image.tile)


def check_upper_bits(image: Image.Image) -> None:
    """An image of 16 bits a channel uses more than the lower 12.

    Raises:
        ValueError: it does not, and its upper 8 bits are black.
    """
    bands = zip(image.getbands(), image.split(), strict=True)
    if max(cast("tuple[float, float]", band.getextrema())[1] for name, band in bands if name != "A") < 16:
        raise ValueError(
            "it has 16 bits a channel, but no value over 4,095, as if only 12 were used; scale it to all 16"
            " bits"
        )


def white(image: Image.Image, values: np.ndarray) -> float:
    """The value (of an image's `values`, float64) that is white.

    Raises:
        ValueError: the scale is unknown.
    """
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if not np.isfinite([low, high]).all():
        raise ValueError("it holds values that are not finite")
    whole = bool((values == np.rint(values)).all())
    if image.mode.startswith("F") and low >= -HALF and high <= 1 + HALF:
        return 1.0
    if whole and low >= 0:
        stated = getattr(image, "tag_v2", {}).get(BITS, (16,))[0] if image.mode.startswith("I;16") else 16
        depths = (stated,) if stated < 16 else DEPTHS
        if found := next((2.0**bits - 1 for bits in depths if high < 2**bits), None):
            return found
    if not whole and low >= -0.5 and 127 < high <= 255.5:
        return 255.0
    raise ValueError(
        f"its values go from {low:g} to {high:g}, a scale that is not known; scale it to 8 or 16 bits"
    )


def values_of(image: Image.Image) -> np.ndarray:
    """The numbers of an image of one deep channel, (h, w) float64."""
    return np.asarray(image, dtype=np.float64)


def to_grey(image: Image.Image) -> Image.Image:
    """An image of one deep channel with 8 bits.

    Raises:
        ValueError: the scale is unknown.
    """
    values = values_of(image)
    grey = np.rint(np.clip(values / white(image, values), 0, 1) * 255).astype(np.uint8)
    # white is zero, which Pillow heeds for 8 bits only
    inverted = getattr(image, "tag_v2", {}).get(INTERPRETATION) == 0
    return Image.fromarray(255 - grey if inverted else grey)
