"""Decoding: nothing but a reason comes out of a file that cannot be decoded."""

import io
import random
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from fairgen.core import image_decoding, images
from fairgen.core.errors import FairgenError

FORMATS = ("JPEG", "PNG", "TIFF", "GIF", "BMP", "WEBP", "AVIF", "DDS", "JPEG2000", "ICO", "TGA", "PPM")


def picture(fmt: str, **options: object) -> bytes:
    """A smooth picture with EXIF numbers of several types, where the format takes them."""
    coarse = Image.fromarray(np.random.default_rng(3).integers(0, 255, (6, 6, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif.update({0x0112: 6, 0x011A: 72.0, 0x8825: {1: "N", 2: (1.0, 2.0, 3.0)}, 0x8769: {0x829A: 0.01}})
    options |= {"exif": exif} if fmt in ("JPEG", "PNG", "WEBP") else {}
    buffer = io.BytesIO()
    coarse.resize((48, 48), Image.Resampling.BICUBIC).save(buffer, fmt, **options)
    return buffer.getvalue()


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Bytes cut off, exchanged (mostly in the header), or put in."""
    found, kind = bytearray(content), rng.randrange(4)
    if kind == 0:
        return bytes(found[: rng.randrange(len(found))])
    if kind == 3:
        place = rng.randrange(len(found))
        return bytes(found[:place] + rng.randbytes(rng.randrange(30)) + found[place:])
    for _ in range(rng.randrange(1, 12)):
        found[rng.randrange(min(len(found), 200 if kind == 1 else len(found)))] = rng.randrange(256)
    return bytes(found)


@pytest.mark.parametrize("fmt", FORMATS)
def test_damaged_files_give_an_image_or_a_reason(fmt: str) -> None:
    if fmt == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    content, rng, reasons = picture(fmt), random.Random(fmt), 0
    for _ in range(40):
        broken = damaged(content, rng)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = image_decoding.attempt(lambda: image_decoding.inspect(broken, "a.jpg"))  # noqa: B023
        if isinstance(found, str):
            reasons += 1
            assert found.split(":")[0] in ("image cannot be decoded", "not an image")
            assert found.isascii()
            assert len(found) < 300
        else:
            assert found[0].mode == "RGB"
    assert reasons


@pytest.mark.parametrize(
    "error",
    [
        struct.error("unpack"),
        RuntimeError("Failed to decode"),
        KeyError("a"),
        AttributeError("b"),
        ZeroDivisionError(),
        AssertionError(),
    ],
)
def test_whatever_a_decoder_raises_is_a_reason(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Image, "open", raising)
    found = image_decoding.attempt(lambda: image_decoding.decode(b"x"))
    assert found.startswith(f"image cannot be decoded: {type(error).__name__}")


def test_missing_memory_is_no_fault_of_the_image() -> None:
    def raising() -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        image_decoding.attempt(raising)


def test_an_image_that_was_damaged_after_the_index_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture("PNG")[:300])
    with pytest.raises(FairgenError, match=r"a\.png: image cannot be decoded: .* index again"):
        images.load(tmp_path, ["a.png"], 16, None)
