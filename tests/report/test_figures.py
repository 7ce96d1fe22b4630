"""The comparison's pictures, with and without generated images and clusters."""

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pictures import photo
from PIL import Image
from workflows import result

from fairgen.core import images, parquet
from fairgen.generate.sample import FIELDS
from fairgen.report.figures import Figures, work

NAMES = ("bars", "curve", "groups", "samples", "acceptance", "clusters")


@pytest.fixture
def paths(tmp_path: Path) -> SimpleNamespace:
    """A result of two groups, four training photographs, and nothing generated."""
    (tmp_path / "table.json").write_text(json.dumps(result(erm=[0.1, 0.2], lora=[0.7, 0.8])))
    for i in range(4):
        photo(i, 40).save(tmp_path / f"{i}.png")
    rows = {
        "id": range(4),
        "path": [f"{i}.png" for i in range(4)],
        "group": ["a", "b"] * 2,
        "split": ["train"] * 4,
    }
    rows["hash"] = [hashlib.sha256((tmp_path / file).read_bytes()).hexdigest() for file in rows["path"]]
    parquet.write(tmp_path / "split.parquet", rows, {"root": str(tmp_path)})
    made = {name: tmp_path / f"{name}.png" for name in NAMES}
    read = {"table": tmp_path / "table.json", "split": tmp_path / "split.parquet"}
    return SimpleNamespace(**made, **read, selections=[], map=[], features=[])


def selected(folder: Path) -> Path:
    """A selection of eight of nine photographs of group a, in three clusters, and of none of the one of group
    b.
    """
    about = {
        "prompt": "",
        "negative_prompt": "",
        "steps": 1,
        "guidance": 1.0,
        "base": "",
        "adapter": "",
        "adapter_hash": "",
    }
    columns: dict[str, list] = {"id": [], "group": [], "file": [], "kept": [], "cluster": [], "reason": []}
    for group, count in (("a", 9), ("b", 1)):
        file, pictures = (
            folder / f"{group}.parquet",
            [images.encode_png(np.asarray(photo(100 + i, 40))) for i in range(count)],
        )
        own = {"group": group, "borrowed_from": "", **about}
        rows = [
            (x, {"id": f"{group}/{i}", "seed": i, "cluster": i // 3, **own}) for i, x in enumerate(pictures)
        ]
        parquet.write_images(file, rows, FIELDS, {"borrowed_from": ""})
        columns["id"] += [f"{group}/{i}" for i in range(count)]
        columns["group"] += [group] * count
        columns["file"] += [str(file)] * count
        columns["kept"] += [True] * (count - 1) + [False]
        columns["cluster"] += [i // 3 for i in range(count)]
        columns["reason"] += [""] * (count - 1) + ["low score"]
    (folder / "lora").mkdir()
    facts = {
        "groups": {
            "a": {"kept": 8, "sampled": 9, "accepted": 8 / 9},
            "b": {"kept": 0, "sampled": 1, "accepted": 0.0},
        }
    }
    parquet.write(folder / "lora/selection.parquet", columns, facts)
    return folder / "lora/selection.parquet"


def drawn(paths: SimpleNamespace) -> dict[str, tuple[int, int]]:
    """The size of every picture that the stage has drawn."""
    work(Figures("toy", [0.99], ["erm", "lora"], [0, 1], ["a", "b"]), paths)
    sizes = {}
    for name in NAMES:
        with Image.open(getattr(paths, name)) as picture:
            sizes[name] = picture.size
            assert np.asarray(picture.convert("L")).std() > 3, name
    return sizes


def test_without_generators_a_note_stands_in_their_place(paths: SimpleNamespace) -> None:
    sizes = drawn(paths)
    assert max(sizes["acceptance"]) < max(sizes["bars"])
    assert sizes["acceptance"][1] == sizes["clusters"][1] < sizes["bars"][1]


def test_the_sheet_has_a_row_for_every_group_and_generator(paths: SimpleNamespace, tmp_path: Path) -> None:
    alone = drawn(paths)["samples"]
    paths.selections = [selected(tmp_path)]
    assert drawn(paths)["samples"][1] > alone[1]
