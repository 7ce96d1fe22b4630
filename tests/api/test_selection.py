"""A synthetic set: its table, and pictures that are decoded when they are asked for."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import recorded
from pictures import photo

import fairgen
from fairgen.api import selection
from fairgen.api.selection import Selection
from fairgen.core import parquet
from fairgen.core.errors import FairgenError


@pytest.fixture
def found(tmp_path: Path) -> Selection:
    """The set of a method that finetunes."""
    return fairgen.open(recorded.write(tmp_path)).selection("lora")


def test_the_table_has_every_drawn_image_with_score_and_prompt(found: Selection) -> None:
    table = found.table
    assert list(table["id"]) == ["a/0", "a/1", "a/2", "b/0", "b/1", "b/2"]
    assert set(table["prompt"]) == {"a a", "a b"}
    assert (len(found.kept), list(found.rejected["reason"])) == (4, ["low", "low"])
    assert found.counts.set_index("group").loc["a", "kept"] == 2


def test_pictures_are_those_of_the_rows(found: Selection) -> None:
    kept = found.images("b")
    assert [(image.id, image.score, image.kept) for image in kept] == [
        ("b/1", 0.25, True),
        ("b/2", 0.5, True),
    ]
    for image, number in ((kept[1], 12), (found.image("a/0"), 0)):
        assert np.array_equal(np.asarray(image.image), np.asarray(photo(number, 32)))
    assert [image.id for image in found.images(kept=False)] == ["a/0", "b/0"]
    assert [image.id for image in found.images(kept=None, limit=2)] == ["a/0", "a/1"]


def test_no_picture_is_read_before_it_is_asked_for(found: Selection, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    original = selection.encoded
    monkeypatch.setattr(selection, "encoded", lambda *given: read.append(given) or original(*given))
    images = found.images()
    assert read == []
    assert images[0].image.size == (32, 32)
    assert len(read) == 1


def test_a_files_footer_is_read_once(found: Selection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for every image, and each image is its row over several row groups; a file that was changed is read
    anew.
    """
    images = found.images(kept=None)
    path, rows = images[0].file, [image for image in images if image.file == images[0].file]
    wanted = [content for _, content in parquet.image_bytes(path)]
    table = parquet.read(path)
    pq.write_table(table, path, row_group_size=2)
    read = []
    original = pq.read_metadata
    monkeypatch.setattr(pq, "read_metadata", lambda *given: read.append(given) or original(*given))
    assert [selection.encoded(path, image.row) for image in rows] == [wanted[image.row] for image in rows]
    assert len(rows) > 2 and len(read) == 1
    with pytest.raises(FairgenError, match="has fewer rows"):
        selection.encoded(path, len(wanted))


def test_a_damaged_picture_is_one_line(found: Selection) -> None:
    """The page of a file is damaged, or what it holds is no picture, or the file was cut short."""
    images = found.images("b", kept=None)
    content = images[0].file.read_bytes()
    ways = (content.replace(b"IHDR", b"IHDX"), content.replace(b"IDAT", b"IDAX"), content[:3000])
    for image, damaged in zip(images, ways, strict=True):
        image.file.write_bytes(damaged)
        with pytest.raises(FairgenError, match=r"b\.parquet is damaged .*; delete it"):
            _ = image.image


def test_a_limit_is_a_number_of_images(found: Selection) -> None:
    assert found.images(limit=0) == []
    with pytest.raises(FairgenError, match="limit -1: give a number of images"):
        found.images(limit=-1)


def test_unknown_groups_and_images_are_told(found: Selection) -> None:
    with pytest.raises(FairgenError, match="unknown group 'c'"):
        found.images("c")
    with pytest.raises(FairgenError, match=r"has no image 'c/1'; ids are like a/0"):
        found.image("c/1")


def test_samples_of_another_selection_are_refused(found: Selection) -> None:
    file = found.place("results/birds/any/lora/samples/a.parquet")
    other = Selection(found.path, lambda name: file)
    with pytest.raises(FairgenError, match="their images differ"):
        _ = other.table
