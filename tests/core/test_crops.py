"""Where the square of an image lies, and what SDXL is told of it."""

import numpy as np
import pytest
from PIL import Image

from fairgen.core import crops, images

SIZE = 32


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        (["1", "2.5", "30", "40"], "1,2.5,30,40"),
        (["", " ", "", ""], ""),
        (["1", "2", "", "4"], None),
        (["1", "2", "0", "4"], None),
        (["1", "2", "nan", "4"], None),
        (["a", "2", "3", "4"], None),
    ],
)
def test_a_box_is_four_numbers(cells: list[str], text: str | None) -> None:
    assert crops.written(cells) == text
    if text:
        assert crops.read(text) == tuple(map(float, cells))


def marked(width: int, height: int, x: int, y: int) -> Image.Image:
    """A black image with a white square of ten pixels whose middle is (x, y)."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[y - 5 : y + 5, x - 5 : x + 5] = 255
    return Image.fromarray(pixels)


@pytest.mark.parametrize(("width", "height", "x", "y"), [(200, 100, 150, 50), (100, 240, 50, 60)])
def test_the_square_has_the_box_in_its_middle(width: int, height: int, x: int, y: int) -> None:
    """The mark is where the centre square does not show it whole, or not in the middle."""
    image, box = marked(width, height, x, y), (x - 5.0, y - 5.0, 10.0, 10.0)
    place = crops.place("box", image.size, box)
    seen = np.asarray(images.fit(image, SIZE, place))[..., 0] > 128
    middle = [float(axis.mean()) for axis in np.nonzero(seen)]
    assert middle == pytest.approx([SIZE / 2 - 0.5] * 2, abs=0.6)
    # the mirror image's square is the mirror image of the square
    origin = np.array([images.origin(image, SIZE, place)])
    flipped = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    other = crops.place("box", image.size, (width - x - 5.0, y - 5.0, 10.0, 10.0))
    assert np.array_equal(np.asarray(images.fit(flipped, SIZE, other))[..., 0] > 128, seen[:, ::-1])
    assert np.abs(crops.mirrored(origin, SIZE)[0] - images.origin(flipped, SIZE, other)).max() <= 1


def test_a_box_at_the_edge_and_none_at_all() -> None:
    assert crops.place("box", (200, 100), (0, 0, 10, 10)) == (0.0, 0.5)
    assert crops.place("box", (200, 100), (190, 0, 10, 10)) == (1.0, 0.5)
    assert crops.place("box", (200, 100)) == crops.place("centre", (200, 100), (0, 0, 9, 9)) == crops.MIDDLE
    assert crops.place("box", (100, 100), (0, 0, 9, 9)) == crops.MIDDLE


def test_the_top_of_a_tall_image_stays() -> None:
    tall, wide = marked(100, 240, 50, 6), marked(240, 100, 120, 50)
    seen = np.asarray(images.fit(tall, SIZE, crops.place("top", tall.size)))
    assert seen[:3].max() == 255 > np.asarray(images.fit(tall, SIZE)).max()
    assert images.origin(tall, SIZE, crops.place("top", tall.size)) == (240, 100, 0, 0)
    assert images.origin(wide, SIZE, crops.place("top", wide.size)) == images.origin(wide, SIZE)


def test_a_centred_square_is_told_of_both_mirror_images_alike() -> None:
    """Also where an odd number of pixels is cut off."""
    for width, height in ((100, 50), (333, 517), (99, 50), (64, 64)):
        origin = np.array([images.origin(Image.new("RGB", (width, height)), SIZE)])
        assert np.array_equal(crops.mirrored(origin, SIZE), origin)
