"""Images as a page holds them: whole, in the file itself, small ones pixel by pixel, others compressed."""

import io
from base64 import b64encode
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from PIL import Image

from fairgen.core import image_decoding, images, parquet
from fairgen.core.errors import FairgenError

SMALL = 64  # pixels: images of up to this side are stored without loss, for they are shown enlarged
QUALITY = 85  # of WebP, in which larger ones are stored: about 25 KB for 512 pixels


def embedded(picture: Image.Image, most: int | None = None) -> str:
    """A data URI of an image, whole; its shorter side is scaled down to `most` pixels, if it is longer."""
    if most and min(picture.size) > most:
        width, height = (max(1, round(side * most / min(picture.size))) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    kind = "png" if max(picture.size) <= SMALL else "webp"
    # no profile: a browser would show real images by it, unlike generated ones and what classifiers see
    options = {"optimize": True} if kind == "png" else {"quality": QUALITY, "method": 4}
    buffer = io.BytesIO()
    picture.save(buffer, format=kind.upper(), icc_profile=None, **options)
    return f"data:image/{kind};base64,{b64encode(buffer.getvalue()).decode()}"


def generated(file: Path, rows: list[int]) -> Iterator[tuple[int, Image.Image]]:
    """Yield (row, image) of some rows of a file of samples.

    Raises:
        FairgenError: the file has no such row.
    """
    missing = set(rows)
    for row, content in parquet.image_bytes(file, rows):
        missing.discard(row)
        yield row, image_decoding.decode(content or b"")
    if missing:
        raise FairgenError(
            f"{file}: the file has no row {min(missing)}; delete it and give the same command again"
        )


def real(root: Path, paths: list[str], hashes: dict[str, str]) -> Iterator[tuple[str, Image.Image]]:
    """Yield (path, image) of some images of the data set, in reading order.

    Args:
        root: the data set's folder.
        paths: of the images, relative to it.
        hashes: by path, SHA-256 of the images' bytes when they were indexed.

    Raises:
        FairgenError: an image is no longer there, or no longer what was indexed.
    """
    try:
        for path, packed in images.encoded(root, paths, str):
            content = (root / path).read_bytes() if packed is None else packed
            if isinstance(content, bytes):
                images.check(path, content, hashes)
            found = (
                image_decoding.attempt(partial(image_decoding.decode, content))
                if isinstance(content, bytes)
                else content
            )
            if isinstance(found, str):
                raise images.gone(f"{path}: {found}", "cannot be read")
            yield path, found
    except FileNotFoundError as error:
        raise images.gone(error.filename, "is gone") from None
