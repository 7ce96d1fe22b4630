"""Captions and boxes: from the columns of a label table to the rows of a split."""

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fairgen.core import parquet
from fairgen.core.errors import FairgenError
from fairgen.data import index, split
from fairgen.data.beside import Beside
from fairgen.data.formats import Reject, Row, cell
from fairgen.data.labels import Attribute
from fairgen.data.split import GroupRole

GROUPS = {"a-x": ("a", "x"), "b-y": ("b", "y")}
BOX = ("left", "top", "width", "height")
PER_GROUP = 12


def table(root: Path, captions: list[str], box: str = "1,2,3,4") -> None:
    """Random pictures with a label table; captions in turn, and one box for all."""
    root.mkdir()
    lines, numbers = ["file,kind,place,text,left,top,width,height"], iter(range(99))
    for kind, place in GROUPS.values():
        for _ in range(PER_GROUP):
            i = next(numbers)
            pixels = np.random.default_rng(i).integers(0, 255, (20, 20, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / f"{i}.png")
            lines.append(f'{i}.png,{kind},{place},"{captions[i % len(captions)]}",{box}')
    (root / "labels.csv").write_text("\n".join(lines))


def indexed(root: Path, **asked: object) -> list[dict]:
    """Rows of the index of such a folder."""
    settings = index.Index(
        dataset="d",
        format="table",
        root=str(root),
        options={"file": "labels.csv", "path": "file", "split": None},
        target=[Attribute("kind")],
        bias=[Attribute("place")],
        groups={name: index.GroupLabel(*pair) for name, pair in GROUPS.items()},
        max_rejected=0.5,
        fractions=(0.5, 0.25, 0.25),
        near=0,
        copies="keep",
        conflicts="keep",
        seed=0,
        **asked,
    )
    names = ("index.parquet", "rejects.parquet", "audit.json", "page.md")
    paths = {name.split(".")[0]: root.parent / name for name in names}
    index.work(settings, SimpleNamespace(workers="1", **paths))
    return parquet.rows(paths["index"])


def test_captions_and_boxes_reach_the_split(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Line ends in a caption become spaces; an image without one is kept and counted."""
    table(tmp_path / "d", ["a  duck\non grass", ""])
    with caplog.at_level(logging.WARNING, "fairgen"):
        rows = indexed(tmp_path / "d", caption="text", box=BOX)
    assert {row["caption"] for row in rows} == {"a duck on grass", ""}
    assert {row["box"] for row in rows} == {"1,2,3,4"}
    assert (
        "12 of 24 images have no caption (text): they are trained under their group's prompt" in caplog.text
    )
    roles = {name: GroupRole(target, "aligned") for name, (target, _) in GROUPS.items()}
    paths = SimpleNamespace(
        index=tmp_path / "index.parquet", scope="bias-natural", split=tmp_path / "s.parquet"
    )
    split.work(split.Split(roles, 0, 0), paths)
    known = {row["path"]: (row["caption"], row["box"]) for row in rows}
    kept = parquet.rows(tmp_path / "s.parquet")
    assert len(kept) == 24
    assert all(known[row["path"]] == (row["caption"], row["box"]) for row in kept)


def test_without_the_keys_the_index_has_no_such_column(tmp_path: Path) -> None:
    table(tmp_path / "d", ["a duck"])
    assert not {"caption", "box"} & indexed(tmp_path / "d")[0].keys()


@pytest.mark.parametrize(
    ("captions", "asked", "line"),
    [
        ([""], {"caption": "text"}, r"config: datasets\.d\.caption: text is empty for every image; name an"),
        (
            ["a"],
            {"caption": "txt"},
            r"config: the data has no attribute 'txt'; 0\.png has kind, place, text,",
        ),
        (["a"], {"box": (*BOX[:3], "heigth")}, r"config: the data has no attribute 'heigth'; 0\.png has"),
    ],
)
def test_what_the_data_lack_is_one_line(tmp_path: Path, captions: list, asked: dict, line: str) -> None:
    table(tmp_path / "d", captions)
    with pytest.raises(FairgenError, match=line):
        indexed(tmp_path / "d", **asked)


def test_a_box_that_cannot_be_read_leaves_the_row_out() -> None:
    cells = dict(zip(BOX, ("1", "2", "x", "4"), strict=True))
    found = Beside(box=BOX).of(Row("a.png", cells))
    assert found == Reject("a.png", "box is not left, top, width and height in pixels: 1, 2, x, 4")
    assert Beside(box=BOX).of(Row("a.png", dict.fromkeys(BOX, ""))) == {"box": ""}


@pytest.mark.parametrize("word", ["", " ", "nan", "NaN"])
def test_what_says_nothing_is_empty(word: str) -> None:
    """Also as pandas and Arrow write it; an image without a box is no reject."""
    row = Row("a.png", {**dict.fromkeys(BOX, word), "text": word})
    assert Beside("text", BOX).of(row) == {"caption": "", "box": ""}


@pytest.mark.parametrize("value", [["a cat", "a red cat"], [], {"text": "a cat"}, b"a cat"])
def test_a_caption_that_is_no_text_is_refused(value: object) -> None:
    """Its representation in Python would be trained."""
    row = Row("a.png", {"text": cell(value)})
    kind = type(value).__name__
    with pytest.raises(
        FairgenError, match=rf"^config: the attribute 'text' of a\.png is a {kind}; give one that"
    ):
        Beside("text").of(row)
    assert [cell(x) for x in (None, float("nan"), 3, 0.5, "a", True)] == ["", "", "3", "0.5", "a", "True"]


def test_a_box_is_in_its_image_in_pixels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Fractions, and boxes that do not meet the image, leave the row out; others are counted."""
    fractions = Row("a.png", dict(zip(BOX, ("0.3", "0.2", "0.2", "0.2"), strict=True)))
    assert isinstance(Beside(box=BOX).of(fractions), Reject)
    table(tmp_path / "d", ["a"])
    lines = (tmp_path / "d/labels.csv").read_text().splitlines()
    assert lines[1].endswith("1,2,3,4")
    lines[1] = lines[1].removesuffix("1,2,3,4") + "900,900,5,5"
    lines[2] = lines[2].removesuffix("1,2,3,4") + "8,8,900,900"
    (tmp_path / "d/labels.csv").write_text("\n".join(lines) + "\n")
    with caplog.at_level(logging.WARNING, "fairgen"):
        rows = indexed(tmp_path / "d", box=BOX)
    assert len(rows) == 23
    assert (
        "1 of 23 boxes (left, top, width, height) reach out of their images by more than a tenth"
        in caplog.text
    )
    reasons = [row["reason"] for row in parquet.rows(tmp_path / "rejects.parquet")]
    assert any(reason.startswith("box does not meet its image: 900,900,5,5 in ") for reason in reasons)


def test_of_rows_that_differ_in_the_caption_alone_the_first_counts(tmp_path: Path) -> None:
    """And the second is not said to say the same."""
    table(tmp_path / "d", ["a red duck"])
    path = tmp_path / "d/labels.csv"
    first = path.read_text().splitlines()[1]
    path.write_text("\n".join([path.read_text(), first.replace("a red duck", "a blue duck"), first]))
    rows = indexed(tmp_path / "d", caption="text")
    assert len(rows) == 24
    assert {row["caption"] for row in rows} == {"a red duck"}
    reasons = [row["reason"] for row in parquet.rows(tmp_path / "rejects.parquet")]
    assert reasons == ["row for a file that an earlier row names: the first one's caption or box counts"] * 2
