"""From files to the index: nothing lost, nothing doubled across splits."""

import io
import json
import logging
import os
import threading
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fairgen.core import image_decoding, images, parquet
from fairgen.core.errors import FairgenError
from fairgen.data import index, split_assignment
from fairgen.data.formats import printable, utkface
from fairgen.data.labels import Attribute

GROUPS = {f"{t}-{b}": index.GroupLabel(t, b) for t in ("male", "female") for b in ("young", "old")}


def face(seed: int, mode: str = "RGB", fmt: str = "JPEG") -> bytes:
    """A random picture of 20 × 24 pixels."""
    shape = (24, 20) if mode == "L" else (24, 20, len(mode))
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8), mode).save(
        buffer, fmt
    )
    return buffer.getvalue()


def build(root: Path, per_group: int = 10) -> None:
    """A folder of crops in UTKFace's layout."""
    for g, (age, gender) in enumerate(((3, 0), (30, 0), (3, 1), (30, 1))):
        for i in range(per_group):
            (root / f"{age}_{gender}_0_20170110220033{g}{i:02d}.jpg").write_bytes(face(100 * g + i))


def settings_of(root: Path) -> dict:
    """Settings of the index of such a folder."""
    settings = {
        "max_rejected": 0.5,
        "fractions": (0.8, 0.1, 0.1),
        "seed": 0,
        "near": 40,
        "copies": "keep",
        "conflicts": "drop",
    }
    settings |= {"dataset": "faces", "format": "utkface", "root": str(root), "options": {}, "groups": GROUPS}
    settings |= {
        "target": [Attribute("gender")],
        "bias": [Attribute("age", ranges={"young": (0, 5), "old": (20, 50)})],
    }
    return settings


def run(root: Path, **changes: object) -> tuple[list[dict], list[dict]]:
    """Index a folder; returns index and rejects, and checks that every file ends in exactly one of them
    once.
    """
    settings = settings_of(root)
    names = {
        "index": "index.parquet",
        "rejects": "rejects.parquet",
        "audit": "audit.json",
        "page": "audit.md",
    }
    paths = SimpleNamespace(workers="2", **{k: root.parent / v for k, v in names.items()})
    index.work(index.Index(**{**settings, **changes}), paths)
    rows, rejects = parquet.rows(paths.index), parquet.rows(paths.rejects)
    named = Counter([r["path"] for r in rows] + [r["file"] for r in rejects])
    if changes.get("format") != "parquet":
        assert named == Counter(
            printable(p.relative_to(root).as_posix())
            for p in root.rglob("*")
            if p.is_file() and p.suffix != ".csv"
        )
    return rows, rejects


def audit(root: Path) -> dict:
    """The audit of the last run."""
    return json.loads((root.parent / "audit.json").read_text())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "faces"
    folder.mkdir()
    build(folder)
    return folder


def test_every_file_ends_in_one_place(root: Path) -> None:
    (root / "3_0_0_20170110220033999.jpg").write_bytes(face(7)[:200])
    (root / "3_0_0_20170110220033998.jpg").write_bytes(b"")
    (root / "3_0_0_20170110220033997.jpg").write_bytes(b"<html>not found</html>")
    (root / "39_1_20170116174525125.jpg.chip.jpg").write_bytes(face(8))
    (root / "3_0_0_20170110220033996.jpg").write_bytes(face(9, "RGBA", "PNG"))
    _, rejects = run(root)
    assert {r["file"] for r in rejects} == {
        "3_0_0_20170110220033999.jpg",
        "3_0_0_20170110220033998.jpg",
        "3_0_0_20170110220033997.jpg",
        "39_1_20170116174525125.jpg.chip.jpg",
    }
    assert all(r["reason"] for r in rejects)


def test_splits_are_stratified_and_identical_images_stay_together(root: Path) -> None:
    for i in range(10):
        # copies of the first group's images
        (root / f"3_0_0_201701102200339{i:02d}.jpg").write_bytes(face(i))
    rows, _ = run(root)
    by_hash: dict[str, set] = {}
    for row in rows:
        by_hash.setdefault(row["hash"], set()).add(row["split"])
    assert all(len(splits) == 1 for splits in by_hash.values())
    assert {(r["group"], r["split"]) for r in rows} == {
        (g, s) for g in GROUPS for s in ("train", "validation", "test")
    }


def test_identical_images_with_conflicting_labels_are_left_out(root: Path) -> None:
    (root / "30_1_0_20170110220033555.jpg").write_bytes(face(0))  # also a young male
    rows, rejects = run(root)
    clashes = [r for r in rejects if "conflicting labels" in r["reason"]]
    assert len(clashes) == 2
    assert all("female | old; male | young" in r["reason"] for r in clashes)
    assert len(rows) == 39
    assert audit(root)["identical"]["conflicting"][0]["labels"] == ["female | old", "male | young"]
    assert len(run(root, conflicts="keep")[0]) == 41


def test_a_label_outside_of_the_groups_conflicts_as_well(root: Path) -> None:
    (root / "12_0_0_20170110220033555.jpg").write_bytes(face(0))  # the same boy, 3 and 12 years old
    rows, rejects = run(root)
    assert len(rows) == 39
    assert sum("a value that is not asked for" in r["reason"] for r in rejects) == 2


def test_copies_are_kept_once_and_in_any_folder(root: Path) -> None:
    (root / "again").mkdir()
    for path in sorted(root.glob("3_0_*")):
        (root / "again" / path.name).write_bytes(path.read_bytes())
    rows, rejects = run(root, copies="drop")
    assert len(rows) == 40
    assert {r["reason"].split(":")[0] for r in rejects} == {"copy of an image that is kept"}
    assert not any(r["malformed"] for r in rejects)
    assert len(run(root)[0]) == 50


def test_similar_images_with_different_labels_are_left_out_if_asked(root: Path) -> None:
    with Image.open(root / "30_0_0_20170110220033100.jpg") as image:
        image.save(root / "30_1_0_20180110220033100.jpg", quality=70)  # the same man, called a woman
        image.save(root / "30_0_0_20180110220033100.jpg", quality=60)
    assert len(run(root)[0]) == 42
    assert "Similar images with different labels (used)" in (root.parent / "audit.md").read_text()
    (root / "12_0_0_20180110220033100.jpg").write_bytes((root / "30_1_0_20180110220033100.jpg").read_bytes())
    rows, rejects = run(root, conflicts="drop_near")
    assert len(rows) == 39
    assert Counter(r["reason"].split(":")[0] for r in rejects) == {
        "near-identical image with conflicting labels": 2,
        "identical image with conflicting labels": 2,
    }
    assert not any(r["malformed"] for r in rejects)
    assert "Similar images with different labels (left out)" in (root.parent / "audit.md").read_text()
    assert len(run(root, conflicts="keep")[0]) == 42


def test_near_identical_images_never_straddle_splits(root: Path) -> None:
    for path in sorted(root.glob("30_0_*")):
        with Image.open(path) as image:
            image.save(path.with_name(path.name.replace("_2017", "_2018")), quality=70)
    rows, _ = run(root)
    by_set: dict[int, set] = {}
    for row in rows:
        by_set.setdefault(row["set"], set()).add(row["split"])
    assert len(by_set) == 40
    assert all(len(splits) == 1 for splits in by_set.values())
    assert audit(root)["near_identical"] | {"conflicting": []} == {
        "sets": 10,
        "images": 20,
        "largest": 2,
        "conflicting_sets": 0,
        "conflicting_images": 0,
        "conflicting": [],
    }
    assert audit(root)["across_splits"]["sets"] == 0


def table(root: Path, splits: list[str]) -> dict:
    """The same faces with a label table and a split of their own; returns the settings that read it."""
    names = sorted(p.name for p in root.glob("*.jpg"))
    lines = [
        f"{n},{utkface.parse(n).attributes['gender']},{n.split('_')[0]},{splits[i % len(splits)]}"
        for i, n in enumerate(names)
    ]
    (root / "labels.csv").write_text("\n".join(["path,gender,age,split", *lines]))
    return {"format": "table", "options": {"file": "labels.csv", "path": "path", "split": "split"}}


def test_official_splits_are_kept_and_only_reported_on(root: Path) -> None:
    (root / "3_0_0_20170110220033999.jpg").write_bytes((root / "3_0_0_20170110220033000.jpg").read_bytes())
    given = table(root, ["train", "train", "train", "val", "test"])
    rows, _ = run(root, **given)
    stated = dict(line.split(",")[::3] for line in (root / "labels.csv").read_text().splitlines()[1:])
    assert {r["path"]: r["split"] for r in rows} == {
        n: s.replace("val", "validation") for n, s in stated.items()
    }
    assert audit(root)["across_splits"]["sets"] == (
        stated["3_0_0_20170110220033999.jpg"] != stated["3_0_0_20170110220033000.jpg"]
    )


def test_validation_rows_are_cut_from_training_rows_where_there_are_none(root: Path) -> None:
    rows, _ = run(root, **table(root, ["train", "train", "train", "test"]))
    counts = Counter(r["split"] for r in rows)
    assert counts["test"] == 10
    assert counts["validation"] == 4  # a ninth of the training rows, group by group
    assert {r["group"] for r in rows if r["split"] == "validation"} == set(GROUPS)


def test_a_split_without_test_rows_is_an_error(root: Path) -> None:
    with pytest.raises(FairgenError, match="has train, validation but no test rows"):
        run(root, **table(root, ["train", "val"]))


def test_the_audit_counts_what_happened(root: Path) -> None:
    (root / "3_0_0_20170110220033990.jpg").write_bytes(face(501, "L"))
    (root / "3_0_0_20170110220033991.jpg").write_bytes(face(502, "CMYK"))
    (root / "3_0_0_20170110220033992.jpg").write_bytes(face(503, "RGB", "PNG"))
    (root / "3_0_0_20170110220033993.jpg").write_bytes(face(504, "RGB", "GIF"))
    # left out, so no unusual image that is used
    (root / "12_0_0_20170110220033994.jpg").write_bytes(face(505, "L"))
    (root / "odd <b>|.jpg").write_bytes(face(506))
    run(root)
    found = audit(root)
    assert found["read"] == 46
    assert found["indexed"] == 44
    assert found["left_out"] == {"malformed": 1, "not_asked_for": 1}
    assert sum(sum(groups.values()) for groups in found["counts"].values()) == 44
    assert found["outside"] == {"age '12'": 1}
    assert found["conversions"] == {
        "PNG with another extension": 1,
        "GIF with another extension": 1,
        "mode P converted to RGB": 1,
        "mode L converted to RGB": 1,
        "mode CMYK converted to RGB": 1,
    }
    page = (root.parent / "audit.md").read_text()
    assert "| male-young | " in page
    assert "<b>" not in page
    assert "odd &lt;b&gt;\\|.jpg" in page


def test_rejects_of_one_reason_are_counted_apart_by_whether_they_are_malformed(root: Path) -> None:
    (root / "Thumbs.db").write_bytes(b"x")
    (root / ".hidden").write_bytes(b"x")
    (root / "3_0_0_20170110220033990.jpg").write_bytes(b"<html>")
    run(root)
    assert [(r["reason"], r["malformed"], r["count"]) for r in audit(root)["rejects"]] == [
        ("not an image", False, 2),
        ("not an image", True, 1),
    ]


def test_too_many_malformed_files_stop_the_run(root: Path) -> None:
    for i in range(20):
        (root / f"odd{i}.jpg").write_bytes(face(i))
    with pytest.raises(FairgenError, match=r"20 of 60 files or rows are malformed, over index.max_rejected"):
        run(root, max_rejected=0.1)


def test_files_that_no_row_names_make_no_share_of_malformed_rows_smaller(root: Path) -> None:
    """Of the labels' own rows it is the share."""
    given = table(root, ["train", "test"])
    for path in sorted(root.glob("*.jpg"))[:20]:
        path.rename(root / f"elsewhere-{path.name}")
    with pytest.raises(FairgenError, match="20 of 40 files or rows are malformed"):
        run(root, **given, max_rejected=0.4)


def test_images_of_several_depths_are_told(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One with a brighter spot would be darker everywhere else."""
    for i, white in enumerate((4000, 4200)):
        values = np.random.default_rng(i).integers(0, white, (64, 64)).astype(np.uint16)
        values[0, 0] = white
        buffer = io.BytesIO()
        Image.fromarray(values).save(buffer, "PNG")
        (root / f"3_0_0_2017011022003399{i}.jpg").write_bytes(buffer.getvalue())
    run(root)
    told = "1 × grey values up to 4095 scaled to 8 bits; 1 × grey values up to 16383 scaled to 8 bits"
    assert told in caplog.text


def test_an_orientation_is_counted_in_every_format(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for fmt in ("TIFF", "JPEG", "PNG"):
        buffer = io.BytesIO()
        Image.new("RGB", (20, 10), "red").save(buffer, fmt, exif=exif)
        image, notes = image_decoding.inspect(buffer.getvalue(), "")
        assert image.size == (10, 20)
        assert "EXIF orientation applied" in notes


def test_an_attribute_that_the_data_lack_is_named_however_the_first_row_looks(root: Path) -> None:
    given = table(root, ["train", "test"])
    path = root / "labels.csv"
    head, first, *rest = path.read_text().splitlines()
    name, _, *others = first.split(",")
    path.write_text("\n".join([head, ",".join([name, "", *others]), *rest]))
    with pytest.raises(FairgenError, match="the data has no attribute 'agee'"):
        run(root, **{**given, "bias": [Attribute("agee")]})


def test_an_empty_group_is_named(root: Path) -> None:
    for path in root.glob("3_1_*"):
        path.unlink()
    with pytest.raises(FairgenError, match="group female-young is empty"):
        run(root)


def test_an_empty_group_is_told_with_the_datas_own_words_and_counts(root: Path) -> None:
    given = table(root, ["train", "test"])
    female = [Attribute("gender", values={"male": ["male"], "female": ["woman"]})]
    with pytest.raises(
        FairgenError,
        match=r"group female-young is empty: .* the data has gender: (fe)?male \(20\), (fe)?male \(20\);"
        r" age: ",
    ):
        run(root, **given, target=female)


def test_numbers_are_one_word_however_they_are_written(root: Path) -> None:
    """Tables written by other programs have `1.0` where the config has `1`, and the reverse."""
    names = sorted(p.name for p in root.glob("*.jpg"))
    for words, values in ((("0.0", "1.0"), ["0", "1"]), (("0", "1"), ["0.0", "1.0"])):
        lines = [f"{n},{words[n.split('_')[1] == '1']},{n.split('_')[0]}.0" for n in names]
        (root / "labels.csv").write_text("\n".join(["path,gender,age", *lines]))
        given = {"format": "table", "options": {"file": "labels.csv", "path": "path", "split": None}}
        named = Attribute("gender", values={"male": [values[0]], "female": [values[1]]})
        assert Counter(r["group"] for r in run(root, **given, target=[named])[0]) == dict.fromkeys(GROUPS, 10)
        called = Attribute(
            "gender", values=dict(zip(values, [["male", words[0]], ["female", words[1]]], strict=True))
        )
        own = {
            f"{a}-{b}": index.GroupLabel(v, b)
            for a, v in zip(("m", "f"), values, strict=True)
            for b in ("young", "old")
        }
        assert Counter(
            r["group"] for r in run(root, **given, target=[called], groups=own)[0]
        ) == dict.fromkeys(own, 10)
        assert Counter(r["group"] for r in run(root, **given, groups=own)[0]) == dict.fromkeys(own, 10)


def test_groups_without_rows_of_a_split_are_named(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    given = table(root, ["train", "train", "val", "test"])
    lines = (root / "labels.csv").read_text().splitlines()
    moved = [line.replace(",val", ",train") if line.startswith("3_0") else line for line in lines]
    (root / "labels.csv").write_text(
        "\n".join(line.replace(",test", ",train") if line.startswith("30_1") else line for line in moved)
    )
    with caplog.at_level(logging.WARNING, "fairgen"):
        run(root, **given)
    assert audit(root)["empty"] == {"validation": ["male-young"], "test": ["female-old"]}
    page = (root.parent / "audit.md").read_text()
    assert "## Groups without rows" in page
    assert "| validation | male-young |" in page
    assert "no test image of female-old" in caplog.text
    (root / "labels.csv").unlink()
    run(root)
    assert audit(root)["empty"] == {}
    assert "Groups without rows" not in (root.parent / "audit.md").read_text()


def test_a_missing_folder_states_the_layout(tmp_path: Path) -> None:
    with pytest.raises(FairgenError, match=r"no such folder; expected .*\[age\]_\[gender\]"):
        run(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "file is empty"),
        (b"<html>404</html>", "not an image"),
        (face(1)[:300], "image cannot be decoded"),
        (b"GIF89a" + bytes(20), "not an image"),
        (face(2, "RGB", "PNG")[:-40], "image cannot be decoded"),
    ],
)
def test_what_is_no_complete_image_is_rejected_with_its_reason(
    root: Path, content: bytes, reason: str
) -> None:
    (root / "3_0_0_20170110220033999.jpg").write_bytes(content)
    _, rejects = run(root)
    assert [r["reason"].split(":")[0] for r in rejects] == [reason]


def cut(content: bytes) -> bytes:
    """A file that loses its last quarter, or for AVIF the begin of its pixels."""
    start = content.find(b"mdat") + 4
    return (
        content[:start] + bytes(60) + content[start + 60 :]
        if content[4:12] == b"ftypavif"
        else content[: len(content) * 3 // 4]
    )


@pytest.mark.parametrize("fmt", ["AVIF", "DDS", "TIFF"])
def test_an_image_that_breaks_its_decoder_is_named_and_ends_no_run(root: Path, fmt: str) -> None:
    good = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(good, fmt)
    (root / "3_0_0_20170110220033999.jpg").write_bytes(cut(good.getvalue()))
    rows, rejects = run(root)
    assert len(rows) == 40
    assert [(r["file"], r["reason"].split(":")[0]) for r in rejects] == [
        ("3_0_0_20170110220033999.jpg", "image cannot be decoded")
    ]


def test_an_image_with_broken_exif_numbers_is_named_and_ends_no_run(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exif, name = Image.Exif(), "3_0_0_20170110220033999.jpg"
    exif[0x0112] = 6
    Image.new("RGB", (20, 10)).save(root / name, exif=exif)

    def broken(*_: object, **__: object) -> Image.Image:
        raise RuntimeError("cannot convert float NaN to integer")

    monkeypatch.setattr(
        images.ImageOps, "exif_transpose", lambda image: broken() if image.size == (20, 10) else image
    )
    rows, rejects = run(root)
    assert len(rows) == 40
    assert [(r["file"], r["reason"]) for r in rejects] == [
        (name, "image cannot be decoded: RuntimeError: cannot convert float NaN to integer")
    ]


def test_a_name_that_is_no_utf8_is_a_reject(root: Path) -> None:
    (root / os.fsdecode(b"\xff")).mkdir()
    (root / os.fsdecode(b"\xff/3_0_0_20170110220033999.jpg")).write_bytes(face(7))
    (root / "a \n\t|b.jpg").write_bytes(face(8))
    rows, rejects = run(root)
    assert {r["file"]: r["reason"].split(":")[0] for r in rejects} == {
        "\\xff/3_0_0_20170110220033999.jpg": "file name is not UTF-8",
        "a \n\t|b.jpg": "name is not [age]_[gender]_[race]_[date and time]",
    }
    assert len(rows) == 40


def test_rows_of_a_damaged_parquet_file_are_rejects(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = root.parent / "shards"
    shard.mkdir()
    monkeypatch.setattr(parquet, "ROW_GROUP", 30)
    rows = [
        (p.read_bytes(), {k: utkface.parse(p.name).attributes[k] for k in ("gender", "age")})
        for p in sorted(root.glob("*.jpg"))
    ]
    parquet.write_images(
        shard / "all.parquet", rows[::4] + rows, {"gender": pa.string(), "age": pa.string()}, {}
    )
    with pq.ParquetFile(shard / "all.parquet") as file:
        chunk = file.metadata.row_group(1).column(0)  # of the images
    content = bytearray((shard / "all.parquet").read_bytes())
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    content[start : start + 30] = bytes(30)
    (shard / "all.parquet").write_bytes(content)
    found, rejects = run(shard, format="parquet", max_rejected=1, groups={"male-young": GROUPS["male-young"]})
    assert Counter([r["path"] for r in found] + [r["file"] for r in rejects]) == Counter(
        f"all.parquet#{i}" for i in range(50)
    )
    lost = {
        r["file"] for r in rejects if r["reason"].startswith("image cannot be read from its Parquet file: ")
    }
    assert lost == {f"all.parquet#{i}" for i in range(30, 50)}


def test_a_file_called_like_a_row_of_a_parquet_file_ends_no_run(root: Path) -> None:
    for i, group in enumerate(("male/young", "male/old", "female/young", "female/old")):
        (root / "f" / group).mkdir(parents=True)
        (root / "f" / group / "1.jpg").write_bytes(face(600 + i))
    (root / "f/male/young/x.parquet#3").write_bytes(face(5))
    found, rejects = run(root / "f", format="folder", target=[Attribute("target")], bias=[Attribute("bias")])
    assert [r["file"] for r in rejects] == ["male/young/x.parquet#3"]
    assert len(found) == 4


def test_images_over_the_pixel_limit_are_rejected(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_decoding, "MAX_PIXELS", 20 * 24)
    big = io.BytesIO()
    Image.new("RGB", (21, 24)).save(big, "PNG")
    (root / "3_0_0_20170110220033999.png").write_bytes(big.getvalue())
    rows, rejects = run(root)
    assert len(rows) == 40
    assert "more than 480 pixels" in rejects[0]["reason"]


def test_a_bomb_ends_in_the_rejects(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    big = io.BytesIO()
    Image.new("RGB", (21, 24)).save(big, "PNG")
    with pytest.raises(ValueError, match="pixels"):
        image_decoding.decode(big.getvalue())


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    image, notes = image_decoding.inspect(buffer.getvalue(), "a.gif")
    assert image.getpixel((0, 0)) == (254, 0, 0) or image.getpixel((0, 0)) == (255, 0, 0)
    assert "first frame of several" in notes


def test_parquet_files_of_images_are_indexed_and_read_back(root: Path) -> None:
    files = sorted(root.glob("*.jpg"))
    fields = {"gender": pa.string(), "age": pa.int32()}
    shard = root.parent / "shards"
    shard.mkdir()
    rows = []
    for path in files:
        attributes = utkface.parse(path.name).attributes
        rows.append((path.read_bytes(), {"gender": attributes["gender"], "age": int(attributes["age"])}))
    parquet.write_images(shard / "all.parquet", rows, fields, {})
    (shard / "notes.csv").write_text("")
    found, rejects = run(shard, format="parquet")
    assert [r["file"] for r in rejects] == ["notes.csv"]
    assert [r["path"] for r in found] == [f"all.parquet#{i}" for i in range(40)]
    pixels = images.load(shard, [found[7]["path"], found[3]["path"]], 24, None)
    assert (pixels[0] == images.load(root, [files[7].name], 24, None)[0]).all()
    assert (pixels[1] == images.load(root, [files[3].name], 24, None)[0]).all()


def test_images_are_decoded_by_several_threads_in_order(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = sorted(path.name for path in root.glob("*.jpg"))[:7]
    wanted, busy = images.load(root, names, 24, None), []
    decode, together = image_decoding.decode, threading.Barrier(3, timeout=60)

    def watched(content: bytes) -> Image.Image:
        if len(busy) < 3:
            busy.append(threading.get_ident())
            together.wait()
        return decode(content)

    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr(images, "CHUNK", 3)
    monkeypatch.setattr(image_decoding, "decode", watched)
    assert (images.load(root, names, 24, None) == wanted).all()
    assert len(set(busy)) == 3
    with pytest.raises(FairgenError, match=r"nothing\.jpg: the image is gone since it was indexed"):
        images.load(root, [*names, "nothing.jpg"], 24, None)


def test_modes_become_upright_rgb() -> None:
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 10)).save(turned, "JPEG", exif=exif)
    assert image_decoding.decode(turned.getvalue()).size == (10, 20)
    clear = io.BytesIO()
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(clear, "PNG")
    assert image_decoding.decode(clear.getvalue()).getpixel((0, 0)) == (255, 255, 255)
    deep = io.BytesIO()
    Image.fromarray(np.full((4, 4), 65535, dtype=np.uint16)).save(deep, "PNG")
    assert image_decoding.decode(deep.getvalue()).getpixel((0, 0)) == (255, 255, 255)
    assert image_decoding.decode(face(1, "L", "PNG")).mode == "RGB"


def test_a_copy_of_an_official_test_image_follows_it() -> None:
    """Rows without a split of their own never bring a (near-)copy of a test image into training."""
    rows = [{"set": i, "group": "a", "split": ("train", "validation", "test")[i % 3]} for i in range(30)]
    copies = [{"set": i, "group": "a", "split": ""} for i in range(30)]
    split_assignment.assign_splits([*rows, *copies], (0.8, 0.1, 0.1), 0)
    assert [r["split"] for r in copies] == [r["split"] for r in rows]
    both = [{"set": 0, "group": "a", "split": s} for s in ("train", "test", "")]
    split_assignment.assign_splits(both, (0.8, 0.1, 0.1), 0)
    assert [r["split"] for r in both] == ["train", "test", "test"]


def test_a_second_test_set_leaves_the_split_of_the_others_to_be_made() -> None:
    rows = [{"set": i, "group": "a", "split": "shift" if i < 5 else ""} for i in range(25)]
    split_assignment.assign_splits(rows, (0.8, 0.1, 0.1), 0)
    assert Counter(r["split"] for r in rows) == {"shift": 5, "train": 16, "validation": 2, "test": 2}


def test_a_large_set_of_near_identical_images_fills_no_split_beyond_its_share() -> None:
    """The fractions count images; what is alike stays together, in training if it is much."""
    for alike, wanted in (
        (200, (320, 40, 40)),
        (360, (360, 20, 20)),
        (21, (320, 40, 40)),
        (1, (320, 40, 40)),
    ):
        rows = [{"set": max(0, i - alike + 1), "group": "a", "split": ""} for i in range(400)]
        split_assignment.assign_splits(rows, (0.8, 0.1, 0.1), 0)
        counts = Counter(r["split"] for r in rows)
        assert tuple(counts[s] for s in ("train", "validation", "test")) == wanted
        assert len({r["split"] for r in rows[:alike]}) == 1
    pairs = [{"set": i // 2, "group": "a", "split": ""} for i in range(200)]
    split_assignment.assign_splits(pairs, (0.8, 0.1, 0.1), 0)
    assert Counter(r["split"] for r in pairs) == {"train": 160, "validation": 20, "test": 20}
    singles = [{"set": i, "group": "a", "split": ""} for i in range(10)]
    split_assignment.assign_splits(singles, (0.8, 0.1, 0.1), 0)
    assert Counter(r["split"] for r in singles) == {"train": 8, "validation": 1, "test": 1}


def test_sets_of_several_groups_take_nothing_of_a_small_groups_test_rows() -> None:
    """Each group is split by its own images, wherever the first image of a mixed set belongs."""
    for seed in range(20):
        rows = [{"set": i, "group": "few", "split": ""} for i in range(20)]
        rows += [{"set": 18 + i // 2, "group": "many", "split": ""} for i in range(4)]  # beside two of `few`
        rows += [{"set": 100 + i, "group": "many", "split": ""} for i in range(96)]
        split_assignment.assign_splits(rows, (0.8, 0.1, 0.1), seed)
        for group, wanted in {"few": (16, 2, 2), "many": (80, 10, 10)}.items():
            counts = Counter(r["split"] for r in rows if r["group"] == group)
            assert tuple(counts[s] for s in ("train", "validation", "test")) == wanted
        assert {r["split"] for r in rows if r["set"] in (18, 19)} == {"train"}


def test_rows_that_say_different_things_of_one_file_do_not_count(root: Path) -> None:
    faces = sorted(path.name for path in root.glob("*.jpg"))
    said = {name: [utkface.parse(name).attributes[k] for k in ("gender", "age")] for name in faces}
    lines = [[name, *said[name], "photo"] for name in faces]
    lines += [[faces[0], *said[faces[0]], "the same again"], [faces[1], "female", said[faces[1]][1], ""]]
    lines += [[faces[2], "", "", ""]]
    (root / "labels.csv").write_text(
        "\n".join(",".join(line) for line in [["path", "gender", "age", "note"], *lines])
    )
    given = {"format": "table", "options": {"file": "labels.csv", "path": "path", "split": None}}
    rows, _, _ = index.read_labels(index.Index(**settings_of(root) | given))
    assert len(rows) == len(faces) - 2
    _, rejects, _ = index.read_labels(index.Index(**settings_of(root) | given))
    found = {r.file: r.reason.split(":")[0] for r in rejects}
    several = "rows that say different things of one file, so that none counts"
    assert found == {
        f"labels.csv row 42: {faces[0]}": "row for a file that an earlier row names",
        **{faces[1]: several, f"labels.csv row 43: {faces[1]}": several},
        **{faces[2]: several, f"labels.csv row 44: {faces[2]}": several},
    }


def test_splits_are_made_by_the_seed() -> None:
    found = []
    for seed in (0, 0, 1):
        rows = [{"group": "g", "set": i, "split": ""} for i in range(100)]
        split_assignment.assign_splits(rows, (0.8, 0.1, 0.1), seed)
        found.append([row["split"] for row in rows])
    assert found[0] == found[1] != found[2]
