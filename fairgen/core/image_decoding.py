"""One image decoded whole, as RGB, upright, with what was converted; or the reason why it cannot be."""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from PIL import Image, ImageOps, UnidentifiedImageError

from fairgen.core import depth, image_notes
from fairgen.core.errors import shortened

Result = TypeVar("Result")
MAX_PIXELS = 100_000_000


def to_rgb(image: Image.Image) -> Image.Image:
    """First frame, upright, RGB; transparency is composited on white, deep greys are scaled to 8 bits."""
    exif = image.getexif()
    if depth.is_deep(image):
        image = depth.to_grey(image)
        image.getexif().update({image_notes.ORIENTATION: exif.get(image_notes.ORIENTATION, 1)})
    image = ImageOps.exif_transpose(image)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, (255, 255, 255, 255)), layer)
    return image.convert("RGB")


def decode(content: bytes) -> Image.Image:
    """Decode fully and convert to RGB.

    Raises:
        Exception: the bytes are no complete image, or one with more than `MAX_PIXELS` pixels or of unknown
            scale. Decoders raise errors of many types; `attempt` makes a reason of any.
    """
    with opened(content) as (image, _):
        return to_rgb(image)


def attempt(work: Callable[[], Result]) -> Result | str:
    """What `work` makes of an image, or in words why it cannot be decoded, whatever the decoder raises."""
    try:
        return work()
    except MemoryError:
        raise  # the machine's fault, not the image's
    except Exception as error:
        return fault(error)


def fault(error: Exception) -> str:
    """Why an image could not be decoded."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image: its content is of no known image format"
    # others say little without their type
    spoken = isinstance(error, OSError | ValueError | SyntaxError) and str(error)
    told = str(error) if spoken else f"{type(error).__name__}: {error}".removesuffix(": ")
    return f"image cannot be decoded: {shortened(ascii_only(told), 200)}"


def ascii_only(text: str) -> str:
    """A decoder's words, which may hold bytes of the image, as text that can be stored."""
    return text.encode("ascii", errors="backslashreplace").decode()


def inspect(content: bytes, name: str) -> tuple[Image.Image, list[str]]:
    """Decode like `decode`, and list what had to be converted; `name` is the file's, for its extension."""
    with opened(content) as (image, turned):
        return to_rgb(image), image_notes.notes(image, name, turned)


@contextmanager
def opened(content: bytes) -> Iterator[tuple[Image.Image, bool]]:
    """A fully loaded image, and whether it is stored turned; of TIFF, Pillow has turned it by then."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            image = Image.open(io.BytesIO(content))
        except Image.DecompressionBombError:
            raise ValueError(f"it has more than {MAX_PIXELS:,} pixels") from None
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"it has more than {MAX_PIXELS:,} pixels")
        deep, turned = depth.states_16_bits(image), image.getexif().get(image_notes.ORIENTATION, 1) != 1
        image.load()
        if deep:
            depth.check_upper_bits(image)
        yield image, turned
