"""Reading image files: any mode becomes RGB, EXIF orientation is applied, content decides the format.

An image's path is relative to the data set's root; `drawings.parquet#17` is row 17 of a Parquet file of images.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from fairgen import tables
from fairgen.errors import FairgenError

Image.MAX_IMAGE_PIXELS = 100_000_000


def to_rgb(image: Image.Image) -> Image.Image:
    """First frame, upright, RGB; transparency is composited on white, 16-bit greys are scaled to 8."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        grey = np.asarray(image, dtype=np.float64)
        grey = grey / 257 if grey.max(initial=0) > 255 else grey
        image = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, (255, 255, 255, 255)), layer)
    return image.convert("RGB")


def decode(content: bytes) -> Image.Image:
    """Decode fully and convert to RGB.

    Raises:
        OSError, ValueError: the bytes are no complete image.
    """
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return to_rgb(image)


def fit(image: Image.Image, size: int) -> Image.Image:
    """Scale the shorter side to `size` and cut the centre square."""
    return image if image.size == (size, size) else ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)


def contents(root: Path, paths: Sequence[str]) -> list[bytes]:
    """The encoded bytes of each image, in order."""
    shards = {name: tables.read(root / name, ["image"])["image"] for name in {p.split("#")[0] for p in paths if "#" in p}}
    result = []
    for path in paths:
        name, _, row = path.partition("#")
        try:
            result.append(shards[name][int(row)].as_py()["bytes"] if row else (root / path).read_bytes())
        except FileNotFoundError:
            raise FairgenError(f"{root / path}: the image is gone since it was indexed; restore it or index again") from None
    return result


def load(root: Path, paths: Sequence[str], size: int) -> np.ndarray:
    """Decode, scale and cut; returns (n, size, size, 3) uint8."""
    pixels = np.empty((len(paths), size, size, 3), dtype=np.uint8)
    for i, content in enumerate(contents(root, paths)):
        pixels[i] = np.asarray(fit(decode(content), size))
    return pixels


def load_column(path: Path, size: int, keep: Sequence[int] | None = None) -> np.ndarray:
    """Images of a Parquet file of images (all rows, or the rows `keep`); returns (n, size, size, 3) uint8."""
    column = tables.read(path, ["image"])["image"].combine_chunks().field("bytes")
    chosen = range(len(column)) if keep is None else keep
    return (
        np.stack([np.asarray(fit(decode(column[i].as_py()), size)) for i in chosen])
        if len(chosen)
        else np.empty((0, size, size, 3), dtype=np.uint8)
    )


def encode_png(pixels: np.ndarray) -> bytes:
    """Encode (h, w, 3) uint8 as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()
