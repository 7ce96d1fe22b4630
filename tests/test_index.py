"""From files to the index: nothing lost, nothing doubled across splits."""

import io
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fairgen import images, index, tables
from fairgen.errors import FairgenError

GROUPS = {f"{t}-{b}": index.GroupLabel(t, b) for t in ("male", "female") for b in ("young", "old")}


def face(seed: int, mode: str = "RGB", fmt: str = "JPEG") -> bytes:
    """A random picture of 20 × 24 pixels."""
    shape = (24, 20) if mode == "L" else (24, 20, len(mode))
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8), mode).save(buffer, fmt)
    return buffer.getvalue()


def build(root: Path, per_group: int = 10) -> None:
    """A folder of crops in UTKFace's layout."""
    for g, (age, gender) in enumerate(((3, 0), (30, 0), (3, 1), (30, 1))):
        for i in range(per_group):
            (root / f"{age}_{gender}_0_20170110220033{g}{i:02d}.jpg").write_bytes(face(100 * g + i))


def run(root: Path, **changes: object) -> tuple[list[dict], list[dict]]:
    """Index a folder; returns index and rejects."""
    settings = {"max_rejected": 0.5, "fractions": (0.8, 0.1, 0.1), "seed": 0, **changes}
    options = {"ages": {"young": [0, 5], "old": [20, 50]}}
    paths = SimpleNamespace(index=root.parent / "index.parquet", rejects=root.parent / "rejects.parquet")
    index.work(index.Index(format="utkface", root=str(root), options=options, groups=GROUPS, **settings), paths)
    return tables.rows(paths.index), tables.rows(paths.rejects)


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
    rows, rejects = run(root)
    names = Counter([r["path"] for r in rows] + [r["file"] for r in rejects])
    assert sorted(names) == sorted(p.name for p in root.iterdir())
    assert set(names.values()) == {1}
    assert {r["file"] for r in rejects} == {
        "3_0_0_20170110220033999.jpg",
        "3_0_0_20170110220033998.jpg",
        "3_0_0_20170110220033997.jpg",
        "39_1_20170116174525125.jpg.chip.jpg",
    }
    assert all(r["reason"] for r in rejects)


def test_splits_are_stratified_and_identical_images_stay_together(root: Path) -> None:
    for i in range(10):
        (root / f"3_0_0_201701102200339{i:02d}.jpg").write_bytes(face(i))  # copies of the first group's images
    rows, _ = run(root)
    by_hash: dict[str, set] = {}
    for row in rows:
        by_hash.setdefault(row["hash"], set()).add(row["split"])
    assert all(len(splits) == 1 for splits in by_hash.values())
    assert {(r["group"], r["split"]) for r in rows} == {(g, s) for g in GROUPS for s in ("train", "validation", "test")}


def test_identical_images_with_conflicting_labels_are_left_out(root: Path) -> None:
    (root / "30_1_0_20170110220033555.jpg").write_bytes(face(0))  # also a young male
    rows, rejects = run(root)
    clashes = [r for r in rejects if "conflicting labels" in r["reason"]]
    assert len(clashes) == 2
    assert all("female-old, male-young" in r["reason"] for r in clashes)
    assert len(rows) == 39


def test_too_many_malformed_files_stop_the_run(root: Path) -> None:
    for i in range(20):
        (root / f"odd{i}.jpg").write_bytes(face(i))
    with pytest.raises(FairgenError, match=r"20 of 60 files are malformed, over index.max_rejected"):
        run(root, max_rejected=0.1)


def test_an_empty_group_is_named(root: Path) -> None:
    for path in root.glob("3_1_*"):
        path.unlink()
    with pytest.raises(FairgenError, match="group female-young is empty"):
        run(root)


def test_a_missing_folder_states_the_layout(tmp_path: Path) -> None:
    with pytest.raises(FairgenError, match=r"no such folder; expected .*\[age\]_\[gender\]"):
        run(tmp_path / "nowhere")


def test_modes_become_upright_rgb() -> None:
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 10)).save(turned, "JPEG", exif=exif)
    assert images.decode(turned.getvalue()).size == (10, 20)
    clear = io.BytesIO()
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(clear, "PNG")
    assert images.decode(clear.getvalue()).getpixel((0, 0)) == (255, 255, 255)
    deep = io.BytesIO()
    Image.fromarray(np.full((4, 4), 65535, dtype=np.uint16)).save(deep, "PNG")
    assert images.decode(deep.getvalue()).getpixel((0, 0)) == (255, 255, 255)
    assert images.decode(face(1, "L", "PNG")).mode == "RGB"
