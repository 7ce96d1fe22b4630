"""Near copies among sample images, by perceptual hashes."""

import base64
import io
from types import SimpleNamespace

import numpy as np
from PIL import Image

from fairgen.embedded import birds
from fairgen.generate.held_out import Unseen
from fairgen.monitor import sketches


def test_a_copy_of_a_training_image_counts() -> None:
    drawings = np.stack([birds.users(5, "train", "landbird", "land", i).pixels for i in range(6)])
    own = sketches.Sketches.__new__(sketches.Sketches)
    unseen = Unseen(drawings[4:], np.zeros((2, 4)))
    own.preview, own.near, own.hashes = SimpleNamespace(images=[drawings[:4]], unseen=[unseen]), 0, {}
    found = own.copies(0, np.concatenate([drawings[:1], drawings[4:5]]))
    assert found["near_copies"] == 0.5 and found["near_copies_held_out"] == 0
    assert found["closest_bits"][0] == 0 < found["closest_bits"][1]
    own.preview = SimpleNamespace(images=[drawings[:4]], unseen=[None])
    assert "near_copies_held_out" not in own.copies(0, drawings[:1])


def test_small_images_are_kept_exactly_and_large_ones_small() -> None:
    def opened(image: np.ndarray) -> Image.Image:
        kind, _, content = sketches.data_url(image).partition(",")
        assert kind == "data:image/webp;base64"
        return Image.open(io.BytesIO(base64.b64decode(content)))

    small = birds.users(5, "train", "landbird", "land", 0).pixels
    assert np.array_equal(np.asarray(opened(small)), small)
    large = np.random.default_rng(0).integers(0, 255, (512, 384, 3), dtype=np.uint8)
    assert opened(large).size == (192, 256)
