"""Scores: every image against every group's prompt, in the order of the samples."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fairgen.core import images, parquet
from fairgen.embedded import birds
from fairgen.generate.sample import FIELDS
from fairgen.generate.score import Score, work

PROMPTS = {"land": "a landbird on land [V]", "water": "a waterbird on water [V]"}
KINDS = {"land": ("landbird", "land"), "water": ("waterbird", "water")}


@pytest.fixture
def samples(tmp_path: Path) -> list[Path]:
    """Six drawings of each of two groups."""
    files = []
    for group, (kind, place) in KINDS.items():
        about = {
            "group": group,
            "cluster": 0,
            "prompt": "",
            "negative_prompt": "",
            "steps": 1,
            "guidance": 1.0,
        }
        about |= {"base": "", "adapter": "", "adapter_hash": "", "borrowed_from": ""}
        pictures = [birds.users(5, "train", kind, place, i).pixels for i in range(6)]
        rows = [
            (images.encode_png(x), {"id": f"{group}/{i}", "seed": i, **about}) for i, x in enumerate(pictures)
        ]
        files.append(tmp_path / f"{group}.parquet")
        parquet.write_images(files[-1], rows, FIELDS, {"borrowed_from": ""})
    return files


def scored(samples: list[Path], batch: int) -> tuple[list[dict], dict]:
    """Rows and facts of the stage's file."""
    out = samples[0].parent / f"scores-{batch}.parquet"
    work(Score("fairgen:embedded/weights/clip", batch, PROMPTS), SimpleNamespace(samples=samples, scores=out))
    return parquet.rows(out), parquet.facts(out)


def test_images_are_nearest_to_the_prompt_of_their_group(samples: list[Path]) -> None:
    rows, facts = scored(samples, 4)
    assert facts["groups"] == ["land", "water"]
    assert facts["scale"] > 1
    assert [row["id"] for row in rows] == [f"{group}/{i}" for group in KINDS for i in range(6)]
    assert [row["file"] for row in rows] == [str(samples[i // 6]) for i in range(12)]
    cosines = np.array([row["cosines"] for row in rows])
    assert (abs(cosines) <= 1).all()
    assert (cosines.argmax(1) == np.repeat([0, 1], 6)).mean() > 0.8


def test_the_batch_changes_no_score(samples: list[Path]) -> None:
    one, other = (np.array([row["cosines"] for row in scored(samples, batch)[0]]) for batch in (1, 5))
    assert np.allclose(one, other, atol=1e-5)
