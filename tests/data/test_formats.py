"""Readers of data set layouts: each file ends in exactly one of rows and rejects, whatever it holds."""

import json
import os
import socket
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairgen.core.errors import FairgenError
from fairgen.data import formats
from fairgen.data.formats import Reject, Row, celeba, delimited, fairface, folder, utkface
from fairgen.data.formats.files import Files, leaves_root
from fairgen.data.labels import Attribute

TEXT = st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=40)


def put(root: Path, files: dict[str, str | bytes]) -> None:
    """Write files below `root`."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def read(name: str, root: Path, **options: Any) -> tuple[dict[str, Row], dict[str, Reject]]:
    """Read a folder; returns rows and rejects by file, and checks that no name stands twice."""
    found = list(formats.rows(name, root, options))
    rows = {r.path: r for r in reversed(found) if isinstance(r, Row)}
    rejects = {r.file: r for r in found if isinstance(r, Reject)}
    assert len({r.where or r.path for r in found if isinstance(r, Row)}) + len(rejects) == len(found)
    assert not rows.keys() & rejects.keys()
    return rows, rejects


# --- UTKFace ---


@pytest.mark.parametrize(
    ("name", "gender", "age"),
    [
        ("3_0_0_20170110220033115.jpg.chip.jpg", "male", "3"),
        ("26_1_2_20170116174525125.jpg", "female", "26"),
        ("24_0_1_20170116220224657 .jpg.chip.jpg", "male", "24"),
        ("55_0_0_20170116232725357jpg.chip.jpg", "male", "55"),
        ("44_1_4_20170116235150272.pg", "female", "44"),
        ("44_1_4_2017011623515027.jpg", "female", "44"),
        ("44_1_4_201701162351502721.jpg", "female", "44"),
    ],
)
def test_usable_utkface_names(name: str, gender: str, age: str) -> None:
    row = utkface.parse(name)
    assert isinstance(row, Row)
    assert (row.attributes["gender"], row.attributes["age"]) == (gender, age)


@pytest.mark.parametrize(
    "name",
    [
        "39_1_20170116174525125.jpg.chip.jpg",
        "61_1_20170109142408075.jpg.chip.jpg",
        "61_1_20170109150557335.jpg.chip.jpg",
        "53__0_20170116184028385.jpg.chip.jpg",
        "30_7_0_20170116184028385.jpg",
        "30_1_9_20170116184028385.jpg",
        "200_1_0_20170116184028385.jpg",
        "_1_0_20170116184028385.jpg",
        "holiday.jpg",
        "٣_1_0_20170116184028385.jpg",
    ],
)
def test_malformed_utkface_names_are_rejected_with_a_reason(name: str) -> None:
    reject = utkface.parse(name)
    assert isinstance(reject, Reject)
    assert reject.malformed
    assert reject.reason


@given(TEXT)
def test_no_name_crashes_the_readers_of_names(name: str) -> None:
    assert isinstance(utkface.parse(name), Row | Reject)
    assert isinstance(folder.parse(name), Row | Reject)


def test_system_files_and_links_outward_are_rejected(tmp_path: Path) -> None:
    root, outside = tmp_path / "faces", tmp_path / "outside.jpg"
    outside.write_bytes(b"x")
    junk = [
        "Thumbs.db",
        "__MACOSX/._3_0_0_20170110220033115.jpg",
        ".ipynb_checkpoints/3_0_0_20170110220033115.jpg",
        ".DS_Store",
    ]
    put(root, {**dict.fromkeys(junk, "x"), "3_0_0_20170110220033115.jpg": "x"})
    (root / "3_0_0_20170110220033116.jpg").symlink_to(outside)
    (root / "3_0_0_20170110220033117.jpg").symlink_to(root / "3_0_0_20170110220033115.jpg")
    (root / "elsewhere").symlink_to(tmp_path)
    rows, rejects = read("utkface", root)
    assert set(rows) == {"3_0_0_20170110220033115.jpg", "3_0_0_20170110220033117.jpg"}
    assert {f for f, r in rejects.items() if not r.malformed} == set(junk)
    assert {f for f, r in rejects.items() if r.malformed} == {"3_0_0_20170110220033116.jpg", "elsewhere"}


def test_a_snapshot_of_a_hub_cache_is_a_root(tmp_path: Path) -> None:
    """Its files are links into the blobs beside it, not outward; what lies beyond the repository's folder
    still is.
    """
    home = tmp_path / "hub/datasets--some--faces"
    root, name = home / "snapshots/c0ffee", "3_0_0_20170110220033115.jpg"
    put(home, {"blobs/abc": "x"})
    put(tmp_path, {"hub/models--other/blobs/abc": "x"})
    (root / "data").mkdir(parents=True)
    (root / "data" / name).symlink_to("../../../blobs/abc")
    (root / "outside.jpg").symlink_to("../../../models--other/blobs/abc")
    for place in (root, root / "data"):
        rows, rejects = read("utkface", place)
        assert [row.rsplit("/", 1)[-1] for row in rows] == [name]
        assert set(rejects) == ({"outside.jpg"} if place == root else set())


# --- CelebA ---

CELEBA = [("000001.jpg", -1, 1, 0), ("000002.jpg", 1, -1, 1), ("000003.jpg", 1, 1, 2)]
NAMES = "Blond_Hair Male Smiling "
SHAPES: dict[str, Callable[[], dict[str, str]]] = {
    "official": lambda: {
        "list_attr_celeba.txt": f"3\n{NAMES}\n"
        + "".join(f"{n} {b:2d}  {m:2d} -1\n" for n, b, m, _ in CELEBA),
        "list_eval_partition.txt": "".join(f"{n} {s}\n" for n, _, _, s in CELEBA),
    },
    "crlf": lambda: {
        "Anno/list_attr_celeba.txt": f"3\r\n{NAMES}\r\n"
        + "".join(f"{n}  {b}  {m}   -1\r\n" for n, b, m, _ in CELEBA),
        "Eval/list_eval_partition.txt": "".join(f"{n} {s}\r\n" for n, _, _, s in CELEBA),
    },
    "no count": lambda: {
        "list_attr_celeba.txt": f"{NAMES}\n" + "".join(f"{n} {b} {m} -1\n" for n, b, m, _ in CELEBA),
        "list_eval_partition.txt": "".join(f"{n} {s}\n" for n, _, _, s in CELEBA),
    },
    "kaggle": lambda: {
        "list_attr_celeba.csv": "\ufeffimage_id,Blond_Hair,Male,Smiling\n"
        + "".join(f"{n},{b},{m},-1\n" for n, b, m, _ in CELEBA),
        "list_eval_partition.csv": "image_id,partition\n" + "".join(f"{n},{s}\n" for n, _, _, s in CELEBA),
    },
    "metadata": lambda: {
        "metadata.csv": "img_id,img_filename,y,split,place,place_filename\n"
        + "".join(f"{i},{n},{max(b, 0)},{s},{max(m, 0)},x\n" for i, (n, b, m, s) in enumerate(CELEBA))
    },
    "subpopulations": lambda: {
        "metadata_celeba.csv": "id,filename,split,y,a\n"
        + "".join(f"{i},{n},{s},{max(b, 0)},{max(m, 0)}\n" for i, (n, b, m, s) in enumerate(CELEBA))
    },
}
FOLDERS = ("img_align_celeba", "img_align_celeba/img_align_celeba", "Img/img_align_celeba", ".")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("place", FOLDERS)
def test_celeba_in_all_its_copies(tmp_path: Path, shape: str, place: str) -> None:
    put(tmp_path, {**SHAPES[shape](), **{f"{place}/{n}": "x" for n, *_ in CELEBA}})
    rows, rejects = read("celeba", tmp_path)
    assert not rejects
    found = {
        p.rsplit("/", 1)[-1]: (r.attributes["Blond_Hair"], r.attributes["Male"], r.split)
        for p, r in rows.items()
    }
    splits = ("train", "validation", "test")
    assert found == {n: (str(b), str(m), splits[s]) for n, b, m, s in CELEBA}


def test_celeba_hq_has_no_split(tmp_path: Path) -> None:
    put(tmp_path, {"CelebAMask-HQ-attribute-anno.txt": f"2\n{NAMES}\n0.jpg  -1 1 1\n1.jpg  1 -1 1\n"})
    put(tmp_path, {"CelebA-HQ-img/0.jpg": "x", "CelebA-HQ-img/1.jpg": "x"})
    rows, rejects = read("celeba", tmp_path)
    assert {p: (r.attributes["Smiling"], r.split) for p, r in rows.items()} == {
        "CelebA-HQ-img/0.jpg": ("1", ""),
        "CelebA-HQ-img/1.jpg": ("1", ""),
    }
    assert not rejects


def test_rows_and_files_that_lack_each_other_are_listed(tmp_path: Path) -> None:
    put(tmp_path, SHAPES["official"]())
    put(tmp_path, {"img_align_celeba/000001.jpg": "x", "img_align_celeba/999999.jpg": "x"})
    with (tmp_path / "list_attr_celeba.txt").open("a") as file:
        file.write("000001.jpg 1 1 1\n000004.jpg 1 1 1\n000005.jpg 1\n../000006.jpg 1 1 1\n")
    with (tmp_path / "list_eval_partition.txt").open("a") as file:
        file.write("000005.jpg 0\n../000006.jpg 0\n")
    rows, rejects = read("celeba", tmp_path)
    assert set(rows) == {"img_align_celeba/000001.jpg"}
    reasons = {file: (r.reason.split(":")[0], r.malformed) for file, r in rejects.items()}
    assert reasons == {
        "list_attr_celeba.txt row 4: 000002.jpg": ("row without its file", True),
        "list_attr_celeba.txt row 5: 000003.jpg": ("row without its file", True),
        "img_align_celeba/999999.jpg": ("file without its row", False),
        "list_attr_celeba.txt row 7": ("row without its split", True),
        "list_attr_celeba.txt row 8": ("row cannot be read", True),
        "list_attr_celeba.txt row 9: ../000006.jpg": ("path leaves the data set's folder", True),
    }


# --- Waterbirds, FairFace ---


def birds_table(*rows: str) -> str:
    return "img_id,img_filename,y,split,place,place_filename\n" + "".join(
        f"{i},{row},p.jpg\n" for i, row in enumerate(rows)
    )


def test_waterbirds_released_and_corrected(tmp_path: Path) -> None:
    towhee, gull = "021.Eastern_Towhee/a.jpg", "059.California_Gull/b.jpg"
    put(
        tmp_path,
        {
            "metadata.csv": birds_table(f"{towhee},1,0,1", f"{gull},1,1,0", f"{gull},3,1,0"),
            towhee: "x",
            gull: "x",
        },
    )
    rows, rejects = read("waterbirds", tmp_path, labels="released")
    assert {p: (r.attributes["kind"], r.attributes["place"], r.split, r.detail) for p, r in rows.items()} == {
        towhee: ("waterbird", "water", "train", {"species": "Eastern_Towhee"}),
        gull: ("waterbird", "land", "validation", {"species": "California_Gull"}),
    }
    assert "y '3'" in rejects["metadata.csv row 4"].reason
    corrected, _ = read("waterbirds", tmp_path, labels="corrected")
    assert [corrected[p].attributes["kind"] for p in (towhee, gull)] == ["landbird", "waterbird"]


def test_fairface_with_and_without_its_prefix(tmp_path: Path) -> None:
    head = "file,age,gender,race,service_test\n"
    put(
        tmp_path,
        {
            fairface.TABLES["train"]: head
            + "train/1.jpg,10-19,Male,White,True\ntrain/2.jpg,more than 70,Female,,False\n",
            fairface.TABLES["test"]: head + "fairface/val/1.jpg,0-2,Female,East Asian,True\n",
            "train/1.jpg": "x",
            "train/2.jpg": "x",
            "val/1.jpg": "x",
        },
    )
    rows, rejects = read("fairface", tmp_path)
    assert {p: (*r.attributes.values(), r.split) for p, r in rows.items()} == {
        "train/1.jpg": ("10-19", "male", "White", "train"),
        "val/1.jpg": ("0-2", "female", "East Asian", "test"),
    }
    assert "race is empty" in rejects["fairface_label_train.csv row 3"].reason


# --- the user's own ---


@pytest.mark.parametrize("kind", ["labels.csv", "labels.tsv", "labels.parquet"])
def test_tables(tmp_path: Path, kind: str) -> None:
    columns = {
        "image": ["a.jpg", "sub/b.jpg", "c.jpg"],
        "kind": ["cat", "dog", "cat"],
        "fold": ["train", "test", "tomorrow"],
    }
    if kind.endswith("parquet"):
        pq.write_table(pa.table(columns), tmp_path / kind)
    else:
        mark = "," if kind.endswith("csv") else "\t"
        lines = [mark.join(columns), *(mark.join(row) for row in zip(*columns.values(), strict=True))]
        put(tmp_path, {kind: "\r\n".join(lines)})
    put(tmp_path, {"a.jpg": "x", "sub/b.jpg": "x", "c.jpg": "x"})
    rows, rejects = read("table", tmp_path, file=kind, path="image", split="fold")
    assert {p: (r.attributes, r.split) for p, r in rows.items()} == {
        "a.jpg": ({"kind": "cat"}, "train"),
        "sub/b.jpg": ({"kind": "dog"}, "test"),
    }
    assert len(rejects) == 2  # the row with an unknown split, and its file
    with pytest.raises(FairgenError, match="no column 'picture'; the table has image, kind, fold"):
        read("table", tmp_path, file=kind, path="picture", split=None)


def test_folders_of_a_tables_paths_say_its_splits(tmp_path: Path) -> None:
    """The outermost folder that most of them are called for: classes may be called `train` too."""
    names = ["set/train/a.jpg", "set/val/train/b.jpg", "set/test/train/c.jpg", "set/later/d.jpg"]
    put(tmp_path, {"labels.csv": "image\n" + "\n".join(names), **dict.fromkeys(names, "x")})
    options = {"file": "labels.csv", "path": "image", "split": None}
    rows, rejects = read("table", tmp_path, **options, split_folders=True)
    assert {r.split for r in rows.values()} == {"train", "validation", "test"}
    told = [r.reason for r in rejects.values() if r.malformed]
    assert told == ["row cannot be read: folder 2 of its path is not called for a split"]
    plain, _ = read("table", tmp_path, **options)
    assert {r.split for r in plain.values()} == {""}
    put(tmp_path, {"labels.csv": "image\nset/later/d.jpg\n"})
    with pytest.raises(FairgenError, match="no folder of the paths in 'image' says the split"):
        read("table", tmp_path, **options, split_folders=True)


def test_letters_of_two_codes_are_letters_of_one(tmp_path: Path) -> None:
    """As macOS writes names of files: the table and the config have them as everybody else does."""
    one, two = unicodedata.normalize("NFC", "gr\u00fcn"), unicodedata.normalize("NFD", "gr\u00fcn")
    put(tmp_path, {"labels.csv": f"image,{two}\n{one}/1.jpg,{two}\n", f"{two}/1.jpg": "x"})
    rows, rejects = read("table", tmp_path, file="labels.csv", path="image", split=None)
    assert list(rows) == [f"{two}/1.jpg"]
    assert not rejects
    put(tmp_path, {f"{one}/1.jpg": "y"})  # both forms: each row has its own
    put(tmp_path, {"labels.csv": f"image,{two}\n{one}/1.jpg,{two}\n{two}/1.jpg,x\n"})
    both, rejects = read("table", tmp_path, file="labels.csv", path="image", split=None)
    assert {path: found.attributes[one] for path, found in both.items()} == {
        f"{one}/1.jpg": one,
        f"{two}/1.jpg": "x",
    }
    assert not rejects
    row = rows[f"{two}/1.jpg"]
    assert Attribute(two, {"green": [two]}).name(row.attribute(two)) == "green"
    assert row.attribute(one) == one


def test_words_that_are_no_utf8_stay_different(tmp_path: Path) -> None:
    put(tmp_path, {"a.jpg": "x", "b.jpg": "x", "c.jpg": "x"})
    table = "image,kind,note\na.jpg,gr\u00fcn,\nb.jpg,gr\u00dcn,\n".encode("latin-1")
    (tmp_path / "labels.csv").write_bytes(table + "c.jpg,red,\ufffd\n".encode())
    rows, rejects = read("table", tmp_path, file="labels.csv", path="image", split=None)
    assert {row.attributes["kind"] for row in rows.values()} == {"gr\\xfcn", "gr\\xdcn", "red"}
    assert not rejects


def test_cells_of_parquet_tables_have_no_spaces_around_them(tmp_path: Path) -> None:
    put(tmp_path, {"a.jpg": "x", "b.jpg": "x"})
    pq.write_table(pa.table({"image": ["a.jpg", " b.jpg"], "sex": [" male", "  "]}), tmp_path / "t.parquet")
    rows, _ = read("table", tmp_path, file="t.parquet", path="image", split=None)
    assert [rows[name].attributes["sex"] for name in ("a.jpg", "b.jpg")] == ["male", ""]


def test_celebrities_without_their_splits_are_refused(tmp_path: Path) -> None:
    """Images of one person would come to stand in training and test."""
    put(tmp_path, {name: text for name, text in SHAPES["official"]().items() if "attr" in name})
    put(tmp_path, {n: "x" for n, *_ in CELEBA})
    with pytest.raises(FairgenError, match=r"list_eval_partition\.txt or .* is neither beside"):
        read("celeba", tmp_path)


def test_a_metadata_row_without_its_split_is_a_reject(tmp_path: Path) -> None:
    put(
        tmp_path,
        {"metadata.csv": "filename,split,y,a\n1.jpg,0,1,0\n2.jpg,,1,0\n", "1.jpg": "x", "2.jpg": "x"},
    )
    rows, rejects = read("celeba", tmp_path)
    assert list(rows) == ["1.jpg"]
    assert "split '' is none of" in rejects["metadata.csv row 3"].reason


def test_folders_with_and_without_splits(tmp_path: Path) -> None:
    put(
        tmp_path,
        dict.fromkeys(
            ["cat/indoor/1.jpg", "val/cat/outdoor/2.jpg", "cat/3.jpg", "later/cat/indoor/4.jpg"], "x"
        ),
    )
    rows, rejects = read("folder", tmp_path)
    assert {p: (r.attributes["target"], r.attributes["bias"], r.split) for p, r in rows.items()} == {
        "cat/indoor/1.jpg": ("cat", "indoor", ""),
        "val/cat/outdoor/2.jpg": ("cat", "outdoor", "validation"),
    }
    assert set(rejects) == {"cat/3.jpg", "later/cat/indoor/4.jpg"}


def test_parquet_files_of_images(tmp_path: Path) -> None:
    features = {
        "info": {
            "features": {
                "label": {"names": ["cat", "dog"], "_type": "ClassLabel"},
                "place": {"_type": "Value"},
            }
        }
    }
    image = pa.array([{"bytes": b"1", "path": None}, {"bytes": b"2", "path": None}])
    table = pa.table({"img": image, "label": [1, 0], "place": ["in", None]})
    table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    put(tmp_path, {"data/broken.parquet": "no", "README.md": "x"})
    pq.write_table(table, tmp_path / "data/train-00000-of-00001.parquet")
    pq.write_table(table.select(["label"]), tmp_path / "data/test-00000-of-00001.parquet")
    rows, rejects = read("parquet", tmp_path)
    assert {p: (r.attributes, r.split) for p, r in rows.items()} == {
        "data/train-00000-of-00001.parquet#0": ({"label": "dog", "place": "in"}, "train"),
        "data/train-00000-of-00001.parquet#1": ({"label": "cat", "place": ""}, "train"),
    }
    assert {f: r.malformed for f, r in rejects.items()} == {
        "README.md": False,
        "data/broken.parquet": True,
        "data/test-00000-of-00001.parquet": True,
    }


@pytest.mark.parametrize("name", sorted(set(formats.NAMES) - {"birds", "utkface", "folder"}))
def test_a_folder_without_labels_states_the_layout(tmp_path: Path, name: str) -> None:
    with pytest.raises(FairgenError, match="expected"):
        read(name, tmp_path, file="labels.csv", path="path", split=None)


TABLES = {
    "celeba": "list_attr_celeba.txt",
    "waterbirds": "metadata.csv",
    "table": "labels.csv",
}


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300) | TEXT.map(str.encode))
def test_no_label_file_crashes_a_reader(tmp_path: Path, name: str, content: bytes) -> None:
    """Whatever stands in a label file, every image ends in one place, or one line says what is wrong."""
    head = (
        b"img_filename,y,split,place\n"
        if name == "waterbirds"
        else b"path,y\n"
        if name == "table"
        else b"Blond_Hair Male\n"
    )
    put(tmp_path, {TABLES[name]: head + content, "a.jpg": "x", "b.jpg": "x"})
    try:
        rows, rejects = read(name, tmp_path, file="labels.csv", path="path", split=None, labels="released")
    except FairgenError as error:
        assert "\n" not in str(error)
    else:
        named = [*rows, *(f for f in rejects if f in ("a.jpg", "b.jpg"))]
        assert sorted(named) == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize(
    "name", ["../a.jpg", "/etc/passwd", "x/../../a.jpg", "C:\\a.jpg", "~/a.jpg", "..\\a.jpg"]
)
def test_paths_that_leave_the_root(name: str) -> None:
    assert leaves_root(name)


@given(TEXT)
def test_words_for_splits_never_crash(word: str) -> None:
    assert formats.split_of(word) in {"train", "validation", "test", "", None}


# --- a row never gets another row's file ---


def table(
    root: Path, *rows: str, head: str = "path,kind", **options: Any
) -> tuple[dict[str, Row], dict[str, Reject]]:
    """Read a label table of these rows."""
    put(root, {"labels.csv": "\n".join([head, *rows]) + "\n"})
    return read("table", root, **{"file": "labels.csv", "path": "path", "split": None, **options})


def test_a_row_whose_file_is_gone_gets_no_file_of_another_folder(tmp_path: Path) -> None:
    put(tmp_path, dict.fromkeys(["male-young/001.png", "female-old/001.png", "female-old/003.png"], "x"))
    rows, rejects = table(tmp_path, "male-young/001.png,a", "male-young/003.png,a", "female-old/001.png,b")
    assert set(rows) == {"male-young/001.png", "female-old/001.png"}
    gone = rejects["labels.csv row 3: male-young/003.png"]
    assert gone.reason.startswith("row without its file: ")
    assert "female-old/003.png is called the same" in gone.reason
    alone, rejects = table(tmp_path, "male-young/003.png,a")
    assert not alone
    assert rejects["labels.csv row 2: male-young/003.png"].malformed


@pytest.mark.parametrize(
    ("names", "files"),
    [
        (["a/1.png", "b/1.png"], ["img/a/1.png", "img/b/1.png"]),
        (["data/img/a/1.png", "data/img/b/1.png"], ["a/1.png", "b/1.png"]),
        (["./a/1.png", "b\\1.png"], ["a/1.png", "b/1.png"]),
        (["1.png", "2.png"], ["x/y/1.png", "x/y/2.png"]),
        (["a/1.png", "b/1.png"], ["a/1.png", "b/1.png", "old/a/1.png", "old/b/1.png"]),
    ],
)
def test_leading_folders_may_differ_for_all_rows_alike(
    tmp_path: Path, names: list[str], files: list[str]
) -> None:
    put(tmp_path, dict.fromkeys(files, "x"))
    rows, _ = table(tmp_path, *(f"{name},{i}" for i, name in enumerate(names)))
    assert {path: row.attributes["kind"] for path, row in rows.items()} == {files[0]: "0", files[1]: "1"}


def test_leading_folders_never_differ_for_one_row_alone(tmp_path: Path) -> None:
    put(tmp_path, dict.fromkeys(["x/1.png", "x/2.png", "y/3.png", "1.png"], "x"))
    rows, rejects = table(tmp_path, "2.png,a", "3.png,a", "4.png,b")
    assert set(rows) == {"x/2.png"}
    assert {r.reason.split(":")[0] for f, r in rejects.items() if "row" in f} == {"row without its file"}
    # one of both lies at the top, and nothing says which
    rows, _ = table(tmp_path, "cat/1.png,a", "dog/1.png,b")
    assert not rows


def test_several_files_that_fit_are_a_reject_that_names_them(tmp_path: Path) -> None:
    put(tmp_path, dict.fromkeys(["x/1.png", "y/1.png", "x/2.png"], "x"))
    rows, rejects = table(tmp_path, "1.png,a", "2.png,b")
    assert set(rows) == {"x/2.png"}
    assert "several files that fit: x/1.png, y/1.png" in rejects["labels.csv row 2: 1.png"].reason
    assert {"x/1.png", "y/1.png"} <= rejects.keys()


def test_files_are_never_taken_across_the_folders_of_splits(tmp_path: Path) -> None:
    put(tmp_path, dict.fromkeys(["train/1.png", "train/2.png", "split=test/1.png", "train/3.png"], "x"))
    rows, rejects = table(
        tmp_path,
        "1.png,a,train",
        "2.png,a,train",
        "1.png,b,test",
        "3.png,b,test",
        head="path,kind,split",
        split="split",
    )
    assert {path: row.split for path, row in rows.items()} == {
        "train/1.png": "train",
        "train/2.png": "train",
        "split=test/1.png": "test",
    }
    assert rejects["labels.csv row 5: 3.png"].reason.startswith("row without its file")
    # there is no test/, and train/ is no place for its rows
    rows, _ = table(tmp_path, "test/1.png,a", "test/2.png,a")
    assert not rows
    put(tmp_path, dict.fromkeys(["1.png", "2.png"], "x"))
    rows, _ = table(tmp_path, "test/1.png,a", "test/2.png,a")  # nor is the top
    assert not rows


def test_a_gone_validation_image_of_fairface_is_not_taken_from_training(tmp_path: Path) -> None:
    head = "file,age,gender,race\n"
    train = head + "".join(f"train/{i}.jpg,3-9,Male,White\n" for i in (1, 2))
    put(
        tmp_path,
        {fairface.TABLES["train"]: train, fairface.TABLES["test"]: head + "val/1.jpg,0-2,Female,Black\n"},
    )
    put(tmp_path, dict.fromkeys(["train/1.jpg", "train/2.jpg"], "x"))
    rows, rejects = read("fairface", tmp_path)
    assert set(rows) == {"train/1.jpg", "train/2.jpg"}
    assert set(rejects) == {"fairface_label_val.csv row 2: val/1.jpg"}


def test_celeba_in_folders_of_its_splits(tmp_path: Path) -> None:
    put(tmp_path, SHAPES["official"]())
    put(tmp_path, dict.fromkeys(["train/000001.jpg", "val/000002.jpg", "test/000003.jpg"], "x"))
    assert {p: r.split for p, r in read("celeba", tmp_path)[0].items()} == {
        "train/000001.jpg": "train",
        "val/000002.jpg": "validation",
        "test/000003.jpg": "test",
    }


def test_many_files_of_one_name_are_found_fast(tmp_path: Path) -> None:
    """Rows that all end alike (frames of clips) take time in proportion to their number."""
    files, calls = Files(tmp_path, []), Counter()
    files.files = {f"all/clip{i}/1.png": None for i in range(3000)}
    tails = files.tails

    def counted(depth: int) -> dict[str, list[str]]:
        found = tails(depth)
        calls[depth] += max(map(len, found.values()))
        return found

    files.tails = counted
    entries = [formats.files.Entry(f"row {i}", f"clip{i}/1.png", {}) for i in range(3000)]
    assert all(isinstance(r, Row) for r in files.rows(lambda: entries))
    assert calls[2] == 6000  # one file looked at for each row, twice


# --- delimited text ---


def cells(tmp_path: Path, text: str, *required: str) -> tuple[list[tuple[str, ...]], dict[str, str]]:
    """The values of the good rows, and why the others are rejected."""
    put(tmp_path, {"t.csv": text})
    found = list(delimited.rows(tmp_path / "t.csv", required))
    good = [tuple(row[1].values()) for row in found if not isinstance(row, Reject)]
    return good, {row.file: row.reason for row in found if isinstance(row, Reject)}


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_quoted_cells_of_header_and_rows(tmp_path: Path, mark: str, end: str) -> None:
    """Delimiters and line ends inside quotes are no delimiters and line ends, in the header neither."""
    rows = [
        f'path{mark}"a, b; c\td"{mark}kind',
        f'1.png{mark}"x, y; z{end}next"{mark}"he said ""no"""',
        "",
        f"2.png{mark}{mark}b",
    ]
    good, rejects = cells(tmp_path, end.join(rows) + end, "path", "kind")
    assert not rejects
    assert [(p, k) for p, _, k in good] == [("1.png", 'he said "no"'), ("2.png", "b")]
    assert good[0][1] == f"x, y; z{end}next".strip()


def test_rows_with_another_number_of_cells_are_malformed_and_named_by_line(tmp_path: Path) -> None:
    good, rejects = cells(tmp_path, 'path,note,kind\n1.png,"two\nlines",a\n2.png,a\n\n3.png,,a,b\n4.png,,b\n')
    assert good == [("1.png", "two\nlines", "a"), ("4.png", "", "b")]
    assert rejects == {
        "t.csv row 4": "row cannot be read: line 4: it has 2 cells, not 3",
        "t.csv row 6": "row cannot be read: line 6: it has 4 cells, not 3",
    }


@pytest.mark.parametrize("later", ["4.png,b\n", '4.png,"b"\n', '"4.png",b\n5.png,"c, d"\n'])
def test_an_unclosed_quote_is_named_and_swallows_no_row(tmp_path: Path, later: str) -> None:
    good, rejects = cells(tmp_path, f'path,kind\n1.png,a\n2.png,"b\n3.png,a\n{later}')
    assert [row[0] for row in good] == [
        "1.png",
        "3.png",
        *(["4.png", "5.png"] if "5.png" in later else ["4.png"]),
    ]
    assert rejects == {"t.csv row 3": "row cannot be read: line 3 opens a quote that is not closed"}


def test_text_after_a_quote_is_malformed(tmp_path: Path) -> None:
    good, rejects = cells(tmp_path, 'path,kind\n"1.png"x,a\n2.png,b\n')
    assert good == [("2.png", "b")]
    assert "t.csv row 2" in rejects


def test_a_cell_may_have_any_length(tmp_path: Path) -> None:
    good, rejects = cells(tmp_path, f"path,kind\n1.png,{'x' * 140_000}\n2.png,b\n")
    assert [len(row[1]) for row in good] == [140_000, 1]
    assert not rejects
    _, rejects = table(tmp_path, f"{'y' * 140_000}.png,a")
    assert all(len(text) < 400 for r in rejects.values() for text in (r.file, r.reason))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,kind,kind\n", "column 'kind' stands twice"),
        ('"path,kind\n1.png,a\n', "quotes of its header, line 1, are wrong"),
        ("image;kind\n", "no column 'path'; the table has image, kind"),
        ("", "no column 'path'; the table has no header"),
    ],
)
def test_a_header_that_cannot_be_used_is_one_clear_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(FairgenError, match=said):
        cells(tmp_path, text, "path")


def test_two_label_files_of_one_name_are_an_error_unless_they_are_the_same(tmp_path: Path) -> None:
    put(tmp_path, {"a/metadata.csv": "x", "b/metadata.csv": "x"})
    assert delimited.find(tmp_path, ("metadata.csv",)) == tmp_path / "a/metadata.csv"
    put(tmp_path, {"b/metadata.csv": "y"})
    with pytest.raises(FairgenError, match=r"several label files called metadata\.csv"):
        delimited.find(tmp_path, ("metadata.csv",))


# --- CelebA's text files ---


def test_celeba_rows_and_splits_that_stand_twice_or_too_short(tmp_path: Path) -> None:
    shape = SHAPES["official"]()
    shape["list_attr_celeba.txt"] += "000004.jpg 1 1\n000005.jpg 1 1 1 1\n000002.jpg -1 -1 -1\n"
    shape["list_eval_partition.txt"] += "000001.jpg 0\n000003.jpg 0\n000006.jpg\n"
    put(tmp_path, shape)
    put(tmp_path, dict.fromkeys([f"img/00000{i}.jpg" for i in range(1, 7)], "x"))
    rows, rejects = read("celeba", tmp_path)
    assert set(rows) == {"img/000001.jpg", "img/000002.jpg"}
    assert rows["img/000002.jpg"].attributes["Blond_Hair"] == "1"
    reasons = {f: r.reason for f, r in rejects.items() if not f.startswith("img/")}
    assert reasons == {
        "list_attr_celeba.txt row 5": "row without its split: list_eval_partition.txt states several for"
        " 000003.jpg",
        "list_attr_celeba.txt row 6": "row cannot be read: line 6 has 3 fields, not 4",
        "list_attr_celeba.txt row 7": "row cannot be read: line 7 has 5 fields, not 4",
        "list_eval_partition.txt row 5": "row with another split for an image: 2 stands above",
        "list_eval_partition.txt row 6": "row cannot be read: line 6 has 1 fields, not 2",
    }


def test_celeba_text_with_a_name_over_its_first_column(tmp_path: Path) -> None:
    put(tmp_path, {"list_attr_celeba.txt": f"image_id {NAMES}\n1.jpg 1 -1 1\n", "1.jpg": "x"})
    put(tmp_path, {"list_eval_partition.txt": "1.jpg 0\n"})
    assert read("celeba", tmp_path)[0]["1.jpg"].attributes == {
        "Blond_Hair": "1",
        "Male": "-1",
        "Smiling": "1",
    }


def test_waterbirds_with_folders_in_front_and_numbers_with_points(tmp_path: Path) -> None:
    name = "birds/021.Eastern_Towhee/a.jpg"
    put(tmp_path, {"metadata.csv": birds_table(f"{name},1.0,0.0,1.0"), name: "x"})
    rows, _ = read("waterbirds", tmp_path, labels="corrected")
    assert rows[name].attributes == {"kind": "landbird", "place": "water"}
    assert (rows[name].split, rows[name].detail) == ("train", {"species": "Eastern_Towhee"})


# --- shards ---


@pytest.mark.parametrize(
    ("file", "split"),
    [
        ("train/1.parquet", "train"),
        ("1.parquet", ""),
        ("data/0000.parquet", ""),
        ("2/part-0.parquet", ""),
        ("split=test/part-1.parquet", "test"),
        ("my_data-validation_2.parquet", "validation"),
        ("train/train-00001-of-00002.parquet", "train"),
        ("contest/trainer.parquet", ""),
        ("val2017.parquet", "validation"),
        ("test_set/0000.parquet", "test"),
        ("train-images/0000.parquet", "train"),
    ],
)
def test_splits_of_shards_come_from_words_never_from_numbers(tmp_path: Path, file: str, split: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.table({"img": pa.array([{"bytes": b"1", "path": None}]), "label": [1]}), tmp_path / file
    )
    rows, rejects = read("parquet", tmp_path)
    assert [r.split for r in rows.values()] == [split]
    assert not rejects


def test_a_shard_of_two_splits_or_two_columns_of_one_name_is_rejected(tmp_path: Path) -> None:
    image = pa.array([{"bytes": b"1", "path": None}])
    (tmp_path / "train").mkdir()
    pq.write_table(pa.table([image, [1]], ["img", "label"]), tmp_path / "train/test-0.parquet")
    pq.write_table(pa.table([image, [1], [2]], ["img", "label", "label"]), tmp_path / "twice.parquet")
    rows, rejects = read("parquet", tmp_path)
    assert not rows
    assert (
        rejects["train/test-0.parquet"].reason == "Parquet file of several splits: its path says test, train"
    )
    assert (
        "columns of one name" in rejects["twice.parquet"].reason
        or "cannot be read" in rejects["twice.parquet"].reason
    )


def test_folders_called_by_numbers_are_no_splits(tmp_path: Path) -> None:
    put(tmp_path, {"1/cat/indoor/1.jpg": "x"})
    assert set(read("folder", tmp_path)[1]) == {"1/cat/indoor/1.jpg"}


# --- what is no ordinary file ---


def test_a_folder_that_cannot_be_read_is_a_reject_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, {"cat/indoor/1.jpg": "x", "cat/outdoor/2.jpg": "x"})
    scandir = os.scandir

    def refusing(path: str) -> Any:
        if str(path).endswith("outdoor"):  # tests run as root, whom no permission stops
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    rows, rejects = read("folder", tmp_path)
    assert set(rows) == {"cat/indoor/1.jpg"}
    assert rejects["cat/outdoor"].malformed
    assert "folder cannot be read: Permission denied" in rejects["cat/outdoor"].reason


def test_pipes_sockets_and_dead_links_are_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, {"cat/indoor/1.jpg": "x"})
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    os.mkfifo("cat/indoor/2.jpg")
    Path("cat/indoor/3.jpg").symlink_to(tmp_path / "cat/indoor/gone.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("cat/indoor/4.jpg")
        rows, rejects = read("folder", tmp_path)
    assert set(rows) == {"cat/indoor/1.jpg"}
    assert {f: r.reason.split(":")[0] for f, r in rejects.items()} == {
        "cat/indoor/2.jpg": "not an image",
        "cat/indoor/3.jpg": "file cannot be read",
        "cat/indoor/4.jpg": "not an image",
    }


# --- every file and every row once, whatever the format ---

ODD = (
    "notes.txt",
    "Thumbs.db",
    "deep/er/__MACOSX/._1.jpg",
    "deep/er/9.jpg",
    ".hidden",
    "a b\nc.jpg",
    "ü.jpg",
    "1.parquet#3",
)


def layouts() -> dict[str, tuple[dict[str, str], dict[str, Any], list[str]]]:
    """Files, options and label tables of each format, with rows that stand twice, lack their file, or are cut
    or too long.
    """
    attributes = (
        f"4\n{NAMES}\n1.jpg 1 1 1\n2.jpg 1 1 1\n1.jpg 1 1 1\n3.jpg 1 1 1\n4.jpg 1\n../5.jpg 1 1"
        " 1\n6.jpg 1 1 7\n"
    )
    metadata = birds_table(
        "k/1.jpg,1,0,1",
        "k/2.jpg,1,0,1",
        "k/1.jpg,1,0,1",
        "k/3.jpg,1,0,1",
        "k/4.jpg,1",
        "/5.jpg,1,0,1",
        "k/6.jpg,5,0,1",
    )
    faces = "file,age,gender,race\n" + "".join(
        f"{row}\n"
        for row in (
            "t/1.jpg,3-9,Male,White",
            "t/1.jpg,3-9,Male,White",
            "t/3.jpg,3-9,Male,White",
            "t/2.jpg,3-9",
            "t/2.jpg,,,",
        )
    )
    own = 'path,kind\n1.jpg,a\n2.jpg,"b\n1.jpg,a\n3.jpg,a\n4.jpg\n,\n5.jpg,a,b\n'
    two = {"i/1.jpg": "x", "i/2.jpg": "x"}
    names = ("3_0_0_20170110220033115.jpg", "39_1_20170116174525125.jpg", "sub/3_0_0_20170110220033115.jpg")
    return {
        "celeba": ({celeba.HQ: attributes, **two}, {}, [celeba.HQ]),
        "waterbirds": (
            {"metadata.csv": metadata, "k/1.jpg": "x", "k/2.jpg": "x"},
            {"labels": "released"},
            ["metadata.csv"],
        ),
        "fairface": (
            {**dict.fromkeys(fairface.TABLES.values(), faces), "t/1.jpg": "x", "t/2.jpg": "x"},
            {},
            list(fairface.TABLES.values()),
        ),
        "table": (
            {"labels.csv": own, **two},
            {"file": "labels.csv", "path": "path", "split": None},
            ["labels.csv"],
        ),
        "folder": (
            dict.fromkeys(("train/a/b/1.jpg", "a/b/2.jpg", "a/3.jpg", "later/a/b/4.jpg"), "x"),
            {},
            [],
        ),
        "utkface": (dict.fromkeys(names, "x"), {}, []),
        "parquet": ({"broken.parquet": "x", "train/1.jpg": "x"}, {}, []),
    }


@pytest.mark.parametrize("name", sorted(set(formats.NAMES) - {"birds"}))
def test_every_file_and_every_row_ends_once_in_rows_or_rejects(tmp_path: Path, name: str) -> None:
    files, options, labels = layouts()[name]
    put(tmp_path, {**files, **dict.fromkeys(ODD, "x")})
    (tmp_path / os.fsdecode(b"\xff.jpg")).write_bytes(b"x")
    image = pa.array([{"bytes": b"1", "path": None}] * 3)
    if name == "parquet":
        pq.write_table(pa.table({"img": image, "label": [1, 2, 3]}), tmp_path / "train/0.parquet")
    found = list(formats.rows(name, tmp_path, options))
    rows = [r for r in found if isinstance(r, Row)]
    again = [r.where for i, r in enumerate(rows) if r.path in {other.path for other in rows[:i]}]
    ends = Counter([*{r.path for r in rows}, *again, *(r.file for r in found if isinstance(r, Reject))])
    assert set(ends.values()) == {1}
    assert all(name.encode() for name in ends)  # can be stored
    there = {
        formats.printable(p.relative_to(tmp_path).as_posix()) for p in tmp_path.rglob("*") if p.is_file()
    } - set(labels)
    if name == "parquet":
        there = there - {"train/0.parquet"} | {f"train/0.parquet#{i}" for i in range(3)}
    assert there <= ends.keys()
    stated = sum(
        (tmp_path / label).read_text().count("\n") - (2 if label.endswith("txt") else 1) for label in labels
    )
    taken = len(rows) if labels else 0
    told = sum(isinstance(r, Reject) and r.file.split(" row ")[0] in labels for r in found)
    assert taken + told == stated
    assert len(ends) == len(there) + told + len(again)


def test_names_that_are_no_utf8_are_rejects_with_an_escaped_name(tmp_path: Path) -> None:
    put(tmp_path, {"cat/indoor/1.jpg": "x"})
    (tmp_path / "cat" / os.fsdecode(b"in\xe9")).mkdir()
    (tmp_path / "cat" / os.fsdecode(b"in\xe9") / "2.jpg").write_bytes(b"x")
    rows, rejects = read("folder", tmp_path)
    assert set(rows) == {"cat/indoor/1.jpg"}
    assert set(rejects) == {"cat/in\\xe9/2.jpg"}
    assert rejects["cat/in\\xe9/2.jpg"].malformed
