"""Rows of images: indexed like a tensor, taken, repeated and joined by number, hashed without their
pixels.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from guarded import guarded

from fairgen.classify.examples import ClassIndex, Examples, Joined, Stored, View, real, synthetic
from fairgen.core import images, parquet
from fairgen.core.workfolder import digest
from fairgen.data import pixels


@pytest.fixture
def stored(tmp_path: Path) -> pixels.Pixels:
    """Nine images of 4 pixels with ids from 100, each of one grey: ten times its number."""
    pixels.write(tmp_path / "p", 9, 4, ((100 + i, np.full((4, 4, 3), 10 * i, np.uint8)) for i in range(9)))
    return pixels.read(tmp_path / "p", 4)


INDICES = [
    slice(0, 3),
    slice(2, 99),
    slice(None, None, 2),
    torch.tensor([6, 0, 0, 5]),
    torch.tensor([], dtype=torch.long),
]


@pytest.mark.parametrize("index", [*INDICES, torch.arange(7) % 2 == 1], ids=str)
def test_images_are_indexed_like_a_tensor(stored: pixels.Pixels, index: torch.Tensor | slice) -> None:
    """Seven of a file, of a choice, and of two sources after one another."""
    whole = torch.from_numpy(stored.images.copy()).permute(0, 3, 1, 2)
    chosen = torch.tensor([8, 1, 1, 0, 3, 2, 5])
    for found, wanted in (
        (View(Stored(stored), torch.arange(7)), whole[:7]),
        (View(Stored(stored), chosen), whole[chosen]),
        (View(View(Stored(stored), chosen), torch.arange(6, -1, -1)), whole[chosen].flip(0)),
        (Joined(View(Stored(stored), chosen[:3]), whole[:4]), torch.cat([whole[chosen[:3]], whole[:4]])),
    ):
        assert len(found) == 7
        assert torch.equal(found[index], wanted[index])


def test_taking_and_joining_read_no_image() -> None:
    one, other = (
        guarded(Examples(torch.full((n, 3, 2, 2), n), torch.arange(n), torch.zeros(n, dtype=torch.long)))
        for n in (5, 7)
    )
    for source in (one, other):
        source.pixels.most = 0
    taken = (
        one.join(other)
        .take(torch.tensor([11, 0, 0, 4, 5]))
        .take(torch.tensor([True, False, True, True, True]))
    )
    assert (len(taken), taken.target.tolist()) == (4, [6, 0, 4, 0])
    one.pixels.most = other.pixels.most = 4
    assert taken.pixels[:][:, 0, 0, 0].tolist() == [7, 5, 5, 7]


LABELS = ClassIndex(["x", "y"], {"g": "x", "h": "y"}, ["g", "h"])


def test_real_rows_are_found_by_their_ids(stored: pixels.Pixels) -> None:
    found = real([{"id": 107, "group": "h"}, {"id": 100, "group": "g"}], stored, LABELS)
    assert found.pixels[:][:, 0, 0, 0].tolist() == [70, 0]
    assert (found.target.tolist(), found.group.tolist()) == ([1, 0], [1, 0])


def test_a_hash_is_of_the_file_and_what_is_chosen_without_reading_images(
    stored: pixels.Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = real([{"id": 100 + i, "group": "g"} for i in range(6)], stored, LABELS)
    monkeypatch.setattr(Stored, "__getitem__", None)
    changes: dict[str, Callable[[], Examples]] = {
        "nothing": lambda: rows,
        "order": lambda: rows.take(torch.tensor([1, 0, 2, 3, 4, 5])),
        "repeated": lambda: rows.take(torch.tensor([0, 0, 1, 2, 3, 4, 5])),
        "label": lambda: Examples(rows.pixels, rows.target + 1, rows.group),
        "group": lambda: Examples(rows.pixels, rows.target, rows.group + 1),
        "file": lambda: real([{"id": 100 + i, "group": "g"} for i in range(6)], other, LABELS),
        "joined": lambda: rows.join(rows),
    }
    other = pixels.Pixels(stored.path, stored.images, stored.ids, "another")
    assert len({digest(*change().content()) for change in changes.values()}) == len(changes)
    assert digest(*changes["nothing"]().content()) == digest(*rows.content())


def test_images_in_memory_are_hashed_by_their_pixels() -> None:
    labels = torch.zeros(3, dtype=torch.long)
    one, other = torch.zeros(3, 3, 2, 2, dtype=torch.uint8), torch.zeros(3, 3, 2, 2, dtype=torch.uint8)
    other[1, 2, 0, 1] = 1
    assert (
        len({digest(*Examples(x, labels, labels).take(torch.arange(2)).content()) for x in (one, other)}) == 2
    )


def test_a_selection_is_decoded_into_one_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, grey in (("x", 0), ("y", 10)):
        pictures = ((images.encode_png(np.full((4, 4, 3), grey + i, np.uint8)), {}) for i in range(3))
        parquet.write_images(tmp_path / name, pictures, {}, {})
    files = [str(tmp_path / name) for name in "xxxyyy"]
    parquet.write(
        tmp_path / "s",
        {"group": list("ggghhh"), "file": files, "kept": [True, False, True, False, True, True]},
    )
    for name in ("stack", "concatenate"):
        monkeypatch.setattr(np, name, None)
    monkeypatch.setattr(torch, "cat", None)
    assert synthetic(tmp_path / "s", 4, LABELS).pixels[:, 0, 0, 0].tolist() == [0, 2, 11, 12]
