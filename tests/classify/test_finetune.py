"""The stage that trains the classifier: what it says of the rows that selected the weights."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fairgen.classify import finetune
from fairgen.core import parquet
from fairgen.data import pixels
from fairgen.models.classifier import Classifier

NETWORK = Classifier("resnet10t", {"channels": [8, 8, 16, 16], "stem_width": 8}, False, 32)
RECIPE = {
    "steps": 2,
    "batch": 4,
    "lr": 0.001,
    "weight_decay": 0.0,
    "optimizer": "adamw",
    "evaluate_every": 1,
    "select": "groups",
    "patience": 0,
}


@pytest.mark.parametrize(("validated", "unseen"), [("abc", []), ("a", ["c", "b"])])
def test_groups_that_the_selection_did_not_see_are_named(
    validated: str, unseen: list[str], tmp_path: Path
) -> None:
    """In the config's order; with the other figures of the run."""
    rows = [(g, "train") for g in "abc" * 2] + [(g, "validation") for g in validated * 2]
    rows += [("a", "test"), ("b", "shift")]
    columns = {"id": list(range(len(rows))), "group": [g for g, _ in rows]}
    columns |= {"target": ["x" if g == "a" else "y" for g, _ in rows], "split": [split for _, split in rows]}
    parquet.write(tmp_path / "split.parquet", columns)
    pixels.write(tmp_path / "pixels", len(rows), 32, enumerate(np.zeros((len(rows), 32, 32, 3), np.uint8)))
    targets = {"c": "y", "b": "y", "a": "x"}
    settings = finetune.Finetune("erm", None, RECIPE, NETWORK, "float32", ["x", "y"], targets, list(targets))
    made = {
        "model": tmp_path / "m.safetensors",
        "predictions": tmp_path / "p.parquet",
        "pixels": tmp_path / "pixels",
    }
    paths = SimpleNamespace(
        split=tmp_path / "split.parquet", weights=[], selection=[], seed="0", work=None, **made
    )
    finetune.work(settings, paths)
    assert parquet.facts(tmp_path / "p.parquet")["groups_without_validation"] == unseen
    judged = [r["split"] for r in parquet.rows(tmp_path / "p.parquet")]
    assert judged == ["validation"] * 2 * len(validated) + ["test", "shift"]
