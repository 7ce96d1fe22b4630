"""Where the square lies that is cut out of an image that is not square: `centre`, `top` or around a `box`.

A box is of the upright image, in pixels, and is stored as the text `left,top,width,height`.
"""

from collections.abc import Sequence

import numpy as np

Box = tuple[float, ...]  # left, top, width, height
# of a square along both sides of an image: 0 at the left or top end, 1 at the other
Place = tuple[float, float]
MIDDLE: Place = (0.5, 0.5)
EMPTY = ("", "nan")  # cells that say nothing


def written(cells: Sequence[str]) -> str | None:
    """Four cells of a label table as the text of a box; "" for one that is empty, None for what is no box of
    pixels.
    """
    if all(cell.strip().lower() in EMPTY for cell in cells):
        return ""
    try:
        left, top, width, height = map(float, cells)
    except ValueError:
        return None
    if not (width >= 1 and height >= 1 and np.isfinite([left, top, width, height]).all()):
        return None
    return f"{left:g},{top:g},{width:g},{height:g}"


def read(text: str) -> Box | None:
    """A box from its text; None for an empty one."""
    return tuple(map(float, text.split(","))) if text else None


def meets(box: Box, size: tuple[int, int]) -> bool:
    """Whether a part of a box is in the image."""
    left, top, width, height = box
    return left < size[0] and top < size[1] and left + width > 0 and top + height > 0


def beyond(box: Box, size: tuple[int, int]) -> bool:
    """Whether a box reaches out of the image by more than a tenth of its own side, as one does whose last two
    numbers are its right and bottom end.
    """
    left, top, width, height = box
    out = max(-left, left + width - size[0]) / width, max(-top, top + height - size[1]) / height
    return max(out) > 0.1


def place(crop: str, size: tuple[int, int], box: Box | None = None) -> Place:
    """Where the square of an image of this size (width, height) lies.

    `top` leaves the top end of a tall image, where the heads of portraits are; `box` puts the middle of the
    box into the middle of the square, as far as the image goes. Without a box it is the centre.
    """
    if crop == "top":
        return 0.5, 0.0
    if crop != "box" or box is None:
        return MIDDLE
    side, (left, top, width, height) = min(size), box
    x, y = (
        min(1.0, max(0.0, (middle - side / 2) / (length - side))) if length > side else 0.5
        for length, middle in zip(size, (left + width / 2, top + height / 2), strict=True)
    )
    return x, y


def mirrored(origins: np.ndarray, size: int) -> np.ndarray:
    """`images.origin` of mirror images, from those of the images (n, 4); a centred square stays centred."""
    height, width, top, left = origins.T
    room = np.round(size * width / np.minimum(width, height)).astype(origins.dtype) - size
    other = np.where(np.abs(room - 2 * left) > 1, room - left, left)
    return np.stack([height, width, top, other], axis=1)
