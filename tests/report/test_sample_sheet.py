"""The sample sheet: images are large enough to see, small ones enlarged pixel by pixel, every cluster
shown.
"""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fairgen.core import images, parquet
from fairgen.core.errors import FairgenError
from fairgen.report import sample_sheet


@pytest.mark.parametrize(
    ("side", "shown"),
    [(16, 96), (28, 112), (32, 96), (48, 96), (64, 128), (100, 100), (159, 159), (160, 160), (512, 160)],
)
def test_small_images_are_enlarged_by_whole_numbers_and_photographs_scaled_down(
    side: int, shown: int
) -> None:
    assert sample_sheet.tile_size(side) == shown


def test_every_cluster_is_shown_about_as_often() -> None:
    assert sample_sheet.spread([0] * 9 + [1] * 9 + [2] * 9 + [3] * 9, 5) == [0, 1, 9, 18, 27]
    assert sample_sheet.spread([1, 0, 0, 0, 0, 0], 4) == [1, 2, 3, 0]
    assert sample_sheet.spread([0, 0], 8) == [0, 1]
    assert sample_sheet.spread([], 8) == []


def samples(path: Path, side: int, number: int, donor: str = "") -> None:
    """A file of generated images of one colour."""
    content = [{"bytes": images.encode_png(np.full((side, side, 3), 200, np.uint8)), "path": None}] * number
    parquet.write(path, {"image": content, "cluster": [0] * number}, {"borrowed_from": donor})


@pytest.mark.parametrize(("side", "drawn", "shown"), [(32, 32, 96), (32, 512, 96), (400, 512, 160)])
def test_a_sheet_shows_real_images_above_generated_ones_at_one_readable_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: int, drawn: int, shown: int
) -> None:
    board = (np.indices((side, side)).sum(0) % 2 * 255).astype(np.uint8)  # enlarged smoothly it would be grey
    for number in range(12):
        Image.fromarray(board).convert("RGB").save(tmp_path / f"{number}.png")
    rows = {"path": [f"{n}.png" for n in range(12)], "group": ["a"] * 12, "split": ["train"] * 12}
    rows["hash"] = [hashlib.sha256((tmp_path / file).read_bytes()).hexdigest() for file in rows["path"]]
    parquet.write(tmp_path / "split.parquet", rows, {"root": str(tmp_path)})
    method = tmp_path / "lora"
    method.mkdir()
    for group, donor in (("a", ""), ("b", "a")):
        samples(tmp_path / f"{group}.parquet", drawn, 3, donor)
    files = [str(tmp_path / f"{group}.parquet") for group in "ab"]
    kept = {
        "group": ["a"] * 3 + ["b"] * 3,
        "file": [files[0]] * 3 + [files[1]] * 3,
        "kept": [True, True, False] * 2,
    }
    parquet.write(method / "selection.parquet", kept)
    figures = []
    monkeypatch.setattr(sample_sheet, "save", lambda figure, path: figures.append(figure))
    sample_sheet.plot_samples(
        tmp_path / "split.parquet", [method / "selection.parquet"], ["a", "b"], tmp_path / "x.png"
    )
    words = [text.get_text() for text in figures[0].texts]
    assert words == ["a: 12 training images", "real", "lora", "b: no training image", "lora\ngenerators of a"]
    strips = [np.asarray(ax.images[0].get_array()) for ax in figures[0].axes]
    step, columns = shown + sample_sheet.GAP, sample_sheet.WIDTH // shown
    assert {strip.shape for strip in strips} == {(step, step * columns, 3)}
    # those that are kept
    assert [(strip[0] == 200).all(axis=1).sum() // shown for strip in strips[1:]] == [2, 2]
    if side == 32:
        assert np.isin(strips[0], (0, 255)).all() and (strips[0][:3, :3] == strips[0][0, 0]).all()
    figures[0].savefig(tmp_path / "x.png", dpi=sample_sheet.DPI, bbox_inches="tight")
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.width < 1000
        found = np.asarray(picture.convert("RGB"))
    assert ((found == 200).all(axis=2).sum(axis=1).max()) >= 2 * (shown - 2)  # not made smaller on the way
    Image.new("RGB", (side, side)).save(tmp_path / "3.png")
    with pytest.raises(FairgenError, match=r"3\.png: the image has changed since it was indexed"):
        sample_sheet.plot_samples(tmp_path / "split.parquet", [], ["a"], tmp_path / "x.png")
