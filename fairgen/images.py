"""Reading image files: any mode becomes RGB, EXIF orientation is applied, content decides the format.

An image's path is relative to the data set's root; `drawings.parquet#17` is row 17 of a Parquet file of images.
"""

import io
import os
import re
import warnings
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from fairgen import tables
from fairgen.errors import FairgenError

Item, Result = TypeVar("Item"), TypeVar("Result")

MAX_PIXELS = 100_000_000
CHUNK = 256  # images that wait for a decoder at a time
BROKEN = (OSError, ValueError, SyntaxError, ArithmeticError, EOFError, IndexError, TypeError)  # what decoders raise
PACKED = re.compile(r"(.+\.parquet)#([0-9]+)", re.S)
SUFFIXES = {"JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"}, "PNG": {".png"}, "GIF": {".gif"}, "WEBP": {".webp"}, "BMP": {".bmp"}}


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
        OSError, ValueError: the bytes are no complete image, or one with more than `MAX_PIXELS` pixels.
    """
    with opened(content) as image:
        return to_rgb(image)


def fault(error: Exception) -> str:
    """Why an image could not be decoded, from one of the errors in `BROKEN`."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image: its content is of no known image format"
    return f"image cannot be decoded: {' '.join(str(error).split())}"


def inspect(content: bytes, name: str) -> tuple[Image.Image, list[str]]:
    """Decode like `decode`, and list what had to be converted; `name` is the file's, for its extension."""
    with opened(content) as image:
        return to_rgb(image), notes(image, name)


@contextmanager
def opened(content: bytes) -> Iterator[Image.Image]:
    """A fully loaded image, as it is stored."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            image = Image.open(io.BytesIO(content))
        except Image.DecompressionBombError:
            raise ValueError(f"it has more than {MAX_PIXELS:,} pixels") from None
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"it has more than {MAX_PIXELS:,} pixels")
        image.load()
        yield image


def notes(image: Image.Image, name: str) -> list[str]:
    """What is unusual about an image as it is stored."""
    suffix, usual = Path(name).suffix.lower(), SUFFIXES.get(image.format, set())
    found = {
        f"mode {image.mode} converted to RGB": image.mode != "RGB",
        "EXIF orientation applied": image.getexif().get(0x0112, 1) != 1,
        "first frame of several": getattr(image, "n_frames", 1) > 1,
        f"{image.format} with another extension": bool(suffix and usual) and suffix not in usual,
        "grey stored as RGB": image.mode == "RGB" and is_grey(image),
    }
    return [note for note, holds in found.items() if holds]


def is_grey(image: Image.Image) -> bool:
    """Whether all three channels of an RGB image are the same."""
    red, green, blue = image.split()
    return red.tobytes() == green.tobytes() == blue.tobytes()


def fit(image: Image.Image, size: int) -> Image.Image:
    """Scale the shorter side to `size` and cut the centre square."""
    return image if image.size == (size, size) else ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)


def origin(image: Image.Image, size: int) -> tuple[int, int, int, int]:
    """Height and width of an upright image, and the top and left of the square that `fit` cuts, in pixels after its scaling."""
    width, height = image.size
    top, left = (round((size * side // min(width, height) - size) / 2) for side in (height, width))
    return height, width, top, left


def place(path: str) -> tuple[str, int | None]:
    """The file of an image, and its row if that is a Parquet file of images."""
    packed = PACKED.fullmatch(path)
    return (packed[1], int(packed[2])) if packed else (path, None)


def contents(root: Path, paths: Iterable[str]) -> dict[str, bytes]:
    """The encoded bytes of the images that lie in Parquet files, by their paths; only the row groups that hold them are read."""
    packed = defaultdict(list)
    for name, row in map(place, paths):
        if row is not None:
            packed[name].append(row)
    return {f"{name}#{row}": x for name, rows in packed.items() for row, x in tables.image_bytes(root / name, rows)}


def in_threads(work: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None) -> Iterator[Result]:
    """What `work` makes of each item, in order; by OMP_NUM_THREADS threads where nothing else is said."""
    items = iter(items)
    with ThreadPoolExecutor(threads or int(os.environ.get("OMP_NUM_THREADS", 1))) as pool:
        while chunk := list(islice(items, CHUNK)):
            yield from pool.map(work, chunk)


def load(root: Path, paths: Sequence[str], size: int, origins: np.ndarray | None = None) -> np.ndarray:
    """Decode, scale and cut; returns (n, size, size, 3) uint8. `origins` (n, 4), if given, is filled with each image's `origin`.

    Raises:
        FairgenError: an image is no longer there.
    """
    pixels = np.empty((len(paths), size, size, 3), dtype=np.uint8)

    def one(i: int) -> None:
        content = packed[paths[i]] if place(paths[i])[1] is not None else (root / paths[i]).read_bytes()
        image = decode(content)
        pixels[i] = np.asarray(fit(image, size))
        if origins is not None:
            origins[i] = origin(image, size)

    try:
        packed = contents(root, paths)
        for _ in in_threads(one, range(len(paths))):
            pass
    except (FileNotFoundError, KeyError) as error:
        gone = getattr(error, "filename", None) or error.args[0]
        raise FairgenError(f"{gone}: the image is gone since it was indexed; restore it or index again") from None
    return pixels


def load_column(path: Path, size: int, keep: Sequence[int] | None = None) -> np.ndarray:
    """Images of a Parquet file of images (all rows, or the rows `keep` in that order); returns (n, size, size, 3) uint8."""

    def one(pair: tuple[int, bytes]) -> tuple[int, np.ndarray]:
        return pair[0], np.asarray(fit(decode(pair[1]), size))

    found = dict(in_threads(one, tables.image_bytes(path, keep)))
    chosen = list(found) if keep is None else keep
    return np.stack([found[row] for row in chosen]) if len(chosen) else np.empty((0, size, size, 3), dtype=np.uint8)


def strip(pixels: np.ndarray, columns: int) -> np.ndarray:
    """The first `columns` of some images (n, size, size, 3) side by side, padded with white to that width."""
    _, size, _, _ = pixels.shape
    row = np.full((size, size * columns, 3), 255, dtype=np.uint8)
    for i, image in enumerate(pixels[:columns]):
        row[:, i * size : (i + 1) * size] = image
    return row


def encode_png(pixels: np.ndarray) -> bytes:
    """Encode (h, w, 3) uint8 as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def encode_all(pictures: Iterable[np.ndarray], ahead: int) -> Iterator[bytes]:
    """The PNG of each picture (h, w, 3) uint8, in order; a thread encodes up to `ahead` of them while the next ones are made."""
    waiting: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(1) as pool:
        for pixels in pictures:
            waiting.append(pool.submit(encode_png, pixels))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
