"""Reading image files: any mode becomes RGB, EXIF orientation is applied, content decides the format.

An image's path is relative to the data set's root; `drawings.parquet#17` is row 17 of a Parquet file of
images.
"""

import hashlib
import io
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps

from fairgen.core import image_decoding, parquet
from fairgen.core.ahead import queued
from fairgen.core.crops import MIDDLE, Place
from fairgen.core.errors import FairgenError, shortened

Item = TypeVar("Item")
Result = TypeVar("Result")
Cut = Callable[[int, tuple[int, int]], Place]  # from an image's number and its (width, height)
CHUNK = 256  # images that wait for a decoder at a time
AGAIN = "snakemake --forcerun index with your target"
PACKED = re.compile(r"(.+\.parquet)#([0-9]+)", re.S)


def fit(image: Image.Image, size: int, place: Place = MIDDLE) -> Image.Image:
    """Scale the shorter side to `size` and cut the square at this place."""
    if image.size == (size, size):
        return image
    return ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC, centering=place)


def origin(image: Image.Image, size: int, place: Place = MIDDLE) -> tuple[int, int, int, int]:
    """Height and width of an upright image, and the top and left of the square that `fit` cuts, in pixels
    after its scaling.
    """
    width, height = image.size
    left, top = (
        round((size * side // min(width, height) - size) * part)
        for side, part in zip((width, height), place, strict=True)
    )
    return height, width, top, left


def place(path: str) -> tuple[str, int | None]:
    """The file of an image, and its row if that is a Parquet file of images."""
    packed = PACKED.fullmatch(path)
    return (packed[1], int(packed[2])) if packed else (path, None)


def encoded(
    root: Path, items: Iterable[Item], path: Callable[[Item], str]
) -> Iterator[tuple[Item, bytes | str | None]]:
    """Each item with its encoded image, None for an image that is a file of its own, which is left to be read
    later.

    `path` names an item's image. Parquet files of images are read once, from the first row to the last, so
    their items come in that order, after all others. For rows that a damaged Parquet file no longer gives, it
    says in words why.
    """
    packed: dict[str, dict[int, list[Item]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        file, number = place(path(item))
        if number is None:
            yield item, None
        else:
            packed[file][number].append(item)
    for file, by_number in packed.items():
        why = "it is shorter than its labels"
        try:
            for number, content in parquet.image_bytes(root / file, list(by_number)):
                yield from ((item, content or b"") for item in by_number.pop(number))
        except MemoryError:
            raise
        except Exception as error:  # of a damaged file, Arrow says it in many ways
            why = shortened(str(error))
        for item in (item for own in by_number.values() for item in own):
            yield item, f"image cannot be read from its Parquet file: {why}"


def decoders() -> int:
    """How many threads read and write pictures: as many as compute (`job.use_threads`)."""
    return int(os.environ.get("OMP_NUM_THREADS", 1))


def in_threads(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None
) -> Iterator[Result]:
    """What `work` makes of each item, in order; by OMP_NUM_THREADS threads where nothing else is said."""
    items = iter(items)
    with ThreadPoolExecutor(threads or decoders()) as pool:
        while chunk := list(islice(items, CHUNK)):
            yield from pool.map(work, chunk)


def gone(path: object, how: str) -> FairgenError:
    """What to say of an image that is not what was indexed."""
    return FairgenError(f"{path}: the image {how} since it was indexed; restore it, or index again ({AGAIN})")


def check(path: str, content: bytes, hashes: Mapping[str, str] | None) -> None:
    """Raise if an image's bytes are not those that were indexed; see `pictures`."""
    if not content:
        raise gone(path, "is gone")
    if hashes is not None and hashlib.sha256(content).hexdigest() != hashes[path]:
        raise gone(path, "has changed")


def pictures(
    root: Path,
    paths: Sequence[str],
    size: int,
    hashes: Mapping[str, str] | None,
    threads: int | None = None,
    origins: np.ndarray | None = None,
    cut: Cut = lambda number, size: MIDDLE,
) -> Iterator[tuple[int, np.ndarray]]:
    """Decode, scale and cut; yields each image's number in `paths` with its pixels (size, size, 3) uint8, in
    reading order.

    Args:
        root: the data set's folder.
        paths: of the images, relative to it.
        size: of the pictures, in pixels.
        hashes: by path, SHA-256 of the images' bytes when they were indexed, to be checked; None checks
            nothing.
        threads: decoders.
        origins: (n, 4), if given, is filled with each image's `origin`.
        cut: where the square of each image lies, by its number and its size.

    Raises:
        FairgenError: an image is no longer there, or no longer what was indexed.
    """

    def picture(number: int, content: bytes) -> np.ndarray:
        image = image_decoding.decode(content)
        where = cut(number, image.size)
        if origins is not None:
            origins[number] = origin(image, size, where)
        return np.asarray(fit(image, size, where))

    def one(pair: tuple[int, bytes | str | None]) -> tuple[int, np.ndarray]:
        number, content = pair
        content = (root / paths[number]).read_bytes() if content is None else content
        if isinstance(content, bytes):
            check(paths[number], content, hashes)
        found = (
            image_decoding.attempt(lambda: picture(number, content))
            if isinstance(content, bytes)
            else content
        )
        if isinstance(found, str):
            raise FairgenError(
                f"{paths[number]}: {found}; it was good when it was indexed: restore it, or index again"
                f" ({AGAIN})"
            )
        return number, found

    try:
        yield from in_threads(one, encoded(root, range(len(paths)), paths.__getitem__), threads)
    except FileNotFoundError as error:
        raise gone(error.filename, "is gone") from None


def load(
    root: Path,
    paths: Sequence[str],
    size: int,
    hashes: Mapping[str, str] | None,
    origins: np.ndarray | None = None,
    cut: Cut = lambda number, size: MIDDLE,
) -> np.ndarray:
    """The images of `pictures` as one array (n, size, size, 3) uint8, in the order of `paths`."""
    pixels = np.empty((len(paths), size, size, 3), dtype=np.uint8)
    for number, picture in pictures(root, paths, size, hashes, origins=origins, cut=cut):
        pixels[number] = picture
    return pixels


def load_column(
    path: Path, size: int, keep: Sequence[int] | None = None, into: np.ndarray | None = None
) -> np.ndarray:
    """Images of a Parquet file of images: all rows, or the rows `keep` in that order.

    Returns:
        (n, size, size, 3) uint8: `into`, if it is given.

    Raises:
        FairgenError: the file has no such row.
    """
    wanted = range(parquet.count(path)) if keep is None else keep
    pixels = np.empty((len(wanted), size, size, 3), dtype=np.uint8) if into is None else into
    places: dict[int, list[int]] = defaultdict(list)
    for i, row in enumerate(wanted):
        places[row].append(i)

    def one(pair: tuple[int, bytes | None]) -> int:
        pixels[places[pair[0]]] = np.asarray(fit(image_decoding.decode(pair[1] or b""), size))
        return pair[0]

    for row in in_threads(one, parquet.image_bytes(path, list(places))):
        del places[row]
    if places:
        raise FairgenError(f"{path}: the file has no row {min(places)}; delete it and call snakemake again")
    return pixels


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
    """The PNG of each picture (h, w, 3) uint8, in order; OMP_NUM_THREADS threads encode up to `ahead` of them
    while the next ones are made.
    """
    return queued(encode_png, pictures, decoders(), ahead)
