"""Drawings as a data set: counts, labels, and always the same pictures."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from fairgen.core import images, parquet
from fairgen.data.draw import Draw, work


def drawn(folder: Path, **changes: object) -> tuple[bytes, list[dict]]:
    """The file of a small data set, and its rows without the pictures."""
    paths = SimpleNamespace(drawings=folder / "drawings.parquet")
    work(
        Draw(
            **{
                "stream": "user",
                "seed": 7,
                "size": 32,
                "distance": 0.5,
                "train": 3,
                "validation": 2,
                "test": 1,
                "shift": 1,
                **changes,
            }
        ),
        paths,
    )
    names = ["target", "bias", "split", "species", "scene", "look"]
    return paths.drawings.read_bytes(), parquet.rows(paths.drawings, names)


def test_every_group_has_its_drawings_in_every_split(tmp_path: Path) -> None:
    _, rows = drawn(tmp_path)
    counts = Counter((r["split"], r["target"], r["bias"]) for r in rows)
    groups = [(kind, place) for kind in ("landbird", "waterbird") for place in ("land", "water")]
    wanted = (
        {("train", *g): 3 for g in groups}
        | {("validation", *g): 2 for g in groups}
        | {("test", *g): 1 for g in groups}
        | {("shift", *g): 1 for g in groups}
    )
    assert counts == wanted
    assert images.load_column(tmp_path / "drawings.parquet", 32).shape == (28, 32, 32, 3)


@pytest.mark.parametrize("stream", ["user", "world"])
def test_the_seed_alone_decides_what_is_drawn(tmp_path: Path, stream: str) -> None:
    first, again, other = (drawn(tmp_path, stream=stream, seed=seed)[0] for seed in (7, 7, 8))
    assert first == again != other


def test_the_world_is_not_balanced_by_group(tmp_path: Path) -> None:
    _, rows = drawn(tmp_path, stream="world", train=20)
    counts = Counter((r["target"], r["bias"]) for r in rows if r["split"] == "train")
    assert sum(counts.values()) == 80
    assert len(set(counts.values())) > 1
