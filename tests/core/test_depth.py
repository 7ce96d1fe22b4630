"""Deep images: right scale or a reason, never a black or clipped picture in silence."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from fairgen.core import image_decoding

RAMP = np.linspace(0, 1, 64 * 48).reshape(48, 64)
EIGHT = np.rint(RAMP * 255)  # what the ramp is in 8 bits


def encoded(values: np.ndarray, fmt: str = "TIFF", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, fmt, **options)
    return buffer.getvalue()


def tiff(content: bytes, bits: int, channels: int = 1, white_is_zero: bool = False) -> bytes:
    """An uncompressed little-endian TIFF of the ramp's size."""
    start = 8 + len(content) + len(content) % 2
    tags = {
        256: 64,
        257: 48,
        259: 1,
        262: 2 if channels > 1 else 1 - white_is_zero,
        273: 8,
        277: channels,
        278: 48,
    }
    tags |= {279: len(content), 258: bits}
    entries = b""
    for tag, value in sorted(tags.items()):
        count = channels if tag == 258 else 1
        place = start + 2 + 12 * len(tags) + 4 if count > 1 else value
        entries += struct.pack("<HHII", tag, 3 if tag == 258 else 4, count, place)
    tail = struct.pack("<I", 0) + struct.pack(f"<{channels}H", *[bits] * channels)
    padded = content.ljust(start - 8, b"\0")
    return b"II*\0" + struct.pack("<I", start) + padded + struct.pack("<H", len(tags)) + entries + tail


def png(values: np.ndarray, kind: int) -> bytes:
    """A PNG of 16 bits a channel (h, w, c) of one of its colour types."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, kind, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def packed(values: np.ndarray) -> bytes:
    """Whole numbers below 4,096 in 12 bits each."""
    bits = np.unpackbits(values.astype(">u2").ravel().view(np.uint8)).reshape(-1, 16)[:, 4:]
    return np.packbits(bits.ravel()).tobytes()


def grey(content: bytes) -> np.ndarray:
    """The first channel of a decoded image."""
    image = image_decoding.decode(content)
    assert image.mode == "RGB"
    return np.asarray(image)[..., 0]


@pytest.mark.parametrize("fmt", ["TIFF", "PNG"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_integers_fill_the_smallest_usual_depth(bits: int, fmt: str) -> None:
    found = grey(encoded(np.rint(RAMP * (2**bits - 1)).astype(np.uint16), fmt))
    assert np.abs(found - EIGHT).max() <= 1


def test_twelve_bits_that_the_file_states_are_its_scale_even_in_the_dark() -> None:
    assert np.abs(grey(tiff(packed(np.rint(RAMP * 4095)), 12)) - EIGHT).max() <= 1
    assert grey(tiff(packed(np.rint(RAMP * 500)), 12)).max() == 31


@pytest.mark.parametrize("top", [1.0, 255.0])
def test_real_numbers_from_0_to_1_or_to_255(top: float) -> None:
    assert np.abs(grey(encoded((RAMP * top).astype(np.float32))) - EIGHT).max() <= 1


def test_a_mask_of_zeros_and_ones_is_black_and_white() -> None:
    assert set(np.unique(grey(encoded(np.rint(RAMP).astype(np.float32))))) == {0, 255}


def test_white_is_zero() -> None:
    assert (
        np.abs(
            grey(tiff(np.rint(RAMP * 65535).astype("<u2").tobytes(), 16, white_is_zero=True)) - (255 - EIGHT)
        ).max()
        <= 1
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((RAMP * 2).astype(np.float32), "from 0 to 2"),
        ((RAMP * 2 - 1).astype(np.float32), "from -1 to 1"),
        ((RAMP * 1000 + 0.3).astype(np.float32), "scale that is not known"),
        (np.where(RAMP > 0.5, np.nan, RAMP).astype(np.float32), "not finite"),
        (np.where(RAMP > 0.5, np.inf, RAMP).astype(np.float32), "not finite"),
        (np.rint(RAMP * 70000).astype(np.int32), "from 0 to 70000"),
        (np.rint(RAMP * 100 - 5).astype(np.int32), "from -5 to 95"),
    ],
)
def test_an_unknown_scale_is_a_reason(values: np.ndarray, said: str) -> None:
    found = image_decoding.attempt(lambda: image_decoding.decode(encoded(values)))
    assert isinstance(found, str)
    assert found.startswith("image cannot be decoded: ")
    assert said in found


@pytest.mark.parametrize("shape", ["tiff", "png", "png with alpha", "grey png with alpha"])
@pytest.mark.parametrize("bits", [12, 16])
def test_colours_of_16_bits_are_used_only_where_all_bits_are(shape: str, bits: int) -> None:
    """Pillow keeps the upper 8 of 16 bits, in which 12-bit values are black."""
    top = 2**bits - 1
    channels = np.stack([np.rint(RAMP * top)] * 3 + [np.full(RAMP.shape, top)], axis=-1)
    content = {
        "tiff": lambda: tiff(channels[..., :3].astype("<u2").tobytes(), 16, 3),
        "png": lambda: png(channels[..., :3], 2),
        "png with alpha": lambda: png(channels, 6),
        "grey png with alpha": lambda: png(channels[..., 2:], 4),
    }[shape]()
    found = image_decoding.attempt(lambda: grey(content))
    if bits == 16:
        assert np.abs(found - EIGHT).max() <= 1
    else:
        assert "as if only 12 were used" in found


def test_deep_images_are_turned_upright_and_noted() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image, notes = image_decoding.inspect(
        encoded(np.rint(RAMP * 4095).astype(np.uint16), "PNG", exif=exif), "a.png"
    )
    assert image.size == (48, 64)
    assert np.abs(np.asarray(image)[:, -1, 0].astype(int) - EIGHT[0]).max() <= 1
    assert notes == [
        "mode I;16 converted to RGB",
        "EXIF orientation applied",
        "grey values up to 4095 scaled to 8 bits",
    ]
