"""Readers of data set layouts: each file ends in exactly one of rows and rejects, whatever it holds."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairgen import formats
from fairgen.errors import FairgenError
from fairgen.formats import Reject, Row, fairface, folder, utkface
from fairgen.formats.files import leaves_root

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
    rows = {r.path: r for r in found if isinstance(r, Row)}
    rejects = {r.file: r for r in found if isinstance(r, Reject)}
    assert len(rows) + len(rejects) == len(found)
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
    junk = ["Thumbs.db", "__MACOSX/._3_0_0_20170110220033115.jpg", ".ipynb_checkpoints/3_0_0_20170110220033115.jpg", ".DS_Store"]
    put(root, {**dict.fromkeys(junk, "x"), "3_0_0_20170110220033115.jpg": "x"})
    (root / "3_0_0_20170110220033116.jpg").symlink_to(outside)
    (root / "3_0_0_20170110220033117.jpg").symlink_to(root / "3_0_0_20170110220033115.jpg")
    (root / "elsewhere").symlink_to(tmp_path)
    rows, rejects = read("utkface", root)
    assert set(rows) == {"3_0_0_20170110220033115.jpg", "3_0_0_20170110220033117.jpg"}
    assert {f for f, r in rejects.items() if not r.malformed} == set(junk)
    assert {f for f, r in rejects.items() if r.malformed} == {"3_0_0_20170110220033116.jpg", "elsewhere"}


def test_a_snapshot_of_a_hub_cache_is_a_root(tmp_path: Path) -> None:
    """Its files are links into the blobs beside it, not outward; what lies beyond the repository's folder still is."""
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
        "list_attr_celeba.txt": f"3\n{NAMES}\n" + "".join(f"{n} {b:2d}  {m:2d} -1\n" for n, b, m, _ in CELEBA),
        "list_eval_partition.txt": "".join(f"{n} {s}\n" for n, _, _, s in CELEBA),
    },
    "crlf": lambda: {
        "Anno/list_attr_celeba.txt": f"3\r\n{NAMES}\r\n" + "".join(f"{n}  {b}  {m}   -1\r\n" for n, b, m, _ in CELEBA),
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
    found = {p.rsplit("/", 1)[-1]: (r.attributes["Blond_Hair"], r.attributes["Male"], r.split) for p, r in rows.items()}
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
        "list_attr_celeba.txt row 6: 000001.jpg": ("row for a file that an earlier row names", True),
        "list_attr_celeba.txt row 7": ("row without its split", True),
        "list_attr_celeba.txt row 8": ("row cannot be read", True),
        "list_attr_celeba.txt row 9: ../000006.jpg": ("path leaves the data set's folder", True),
    }


# --- Waterbirds, FairFace ---


def birds_table(*rows: str) -> str:
    return "img_id,img_filename,y,split,place,place_filename\n" + "".join(f"{i},{row},p.jpg\n" for i, row in enumerate(rows))


def test_waterbirds_released_and_corrected(tmp_path: Path) -> None:
    towhee, gull = "021.Eastern_Towhee/a.jpg", "059.California_Gull/b.jpg"
    put(tmp_path, {"metadata.csv": birds_table(f"{towhee},1,0,1", f"{gull},1,1,0", f"{gull},3,1,0"), towhee: "x", gull: "x"})
    rows, rejects = read("waterbirds", tmp_path, labels="released")
    assert {p: (r.attributes["kind"], r.attributes["place"], r.split, r.detail) for p, r in rows.items()} == {
        towhee: ("waterbird", "water", "train", "Eastern_Towhee"),
        gull: ("waterbird", "land", "validation", "California_Gull"),
    }
    assert "y '3'" in rejects["metadata.csv row 4"].reason
    corrected, _ = read("waterbirds", tmp_path, labels="corrected")
    assert [corrected[p].attributes["kind"] for p in (towhee, gull)] == ["landbird", "waterbird"]


def test_fairface_with_and_without_its_prefix(tmp_path: Path) -> None:
    head = "file,age,gender,race,service_test\n"
    put(
        tmp_path,
        {
            fairface.TABLES["train"]: head + "train/1.jpg,10-19,Male,White,True\ntrain/2.jpg,more than 70,Female,,False\n",
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
    columns = {"image": ["a.jpg", "sub/b.jpg", "c.jpg"], "kind": ["cat", "dog", "cat"], "fold": ["train", "test", "tomorrow"]}
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


def test_folders_with_and_without_splits(tmp_path: Path) -> None:
    put(tmp_path, dict.fromkeys(["cat/indoor/1.jpg", "val/cat/outdoor/2.jpg", "cat/3.jpg", "later/cat/indoor/4.jpg"], "x"))
    rows, rejects = read("folder", tmp_path)
    assert {p: (r.attributes["target"], r.attributes["bias"], r.split) for p, r in rows.items()} == {
        "cat/indoor/1.jpg": ("cat", "indoor", ""),
        "val/cat/outdoor/2.jpg": ("cat", "outdoor", "validation"),
    }
    assert set(rejects) == {"cat/3.jpg", "later/cat/indoor/4.jpg"}


def test_parquet_files_of_images(tmp_path: Path) -> None:
    features = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "place": {"_type": "Value"}}}}
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
    head = b"img_filename,y,split,place\n" if name == "waterbirds" else b"path,y\n" if name == "table" else b"Blond_Hair Male\n"
    put(tmp_path, {TABLES[name]: head + content, "a.jpg": "x", "b.jpg": "x"})
    try:
        rows, rejects = read(name, tmp_path, file="labels.csv", path="path", split=None, labels="released")
    except FairgenError as error:
        assert "\n" not in str(error)
    else:
        named = [*rows, *(f for f in rejects if f in ("a.jpg", "b.jpg"))]
        assert sorted(named) == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("name", ["../a.jpg", "/etc/passwd", "x/../../a.jpg", "C:\\a.jpg", "~/a.jpg", "..\\a.jpg"])
def test_paths_that_leave_the_root(name: str) -> None:
    assert leaves_root(name)


@given(TEXT)
def test_words_for_splits_never_crash(word: str) -> None:
    assert formats.split_of(word) in {"train", "validation", "test", "", None}
