"""The stage that trains the classifier: what it says of the rows that selected the weights."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fairgen.classify import finetune
from fairgen.classify.model_selection import Best
from fairgen.classify.problem import Problem
from fairgen.classify.recipe import Recipe
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


def test_a_method_gets_training_and_validation_rows_and_the_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [("a", "train")] * 3 + [("b", "validation")] * 2 + [("a", "test")]
    targets = {"a": "x", "b": "y"}
    columns = {"id": list(range(6)), "group": [g for g, _ in rows], "split": [split for _, split in rows]}
    parquet.write(tmp_path / "split.parquet", columns | {"target": [targets[g] for g, _ in rows]})
    pixels.write(tmp_path / "pixels", 6, 32, enumerate(np.zeros((6, 32, 32, 3), np.uint8)))
    seen: list[Problem] = []

    def train(network: object, problem: Problem, recipe: object) -> Best:
        seen.append(problem)
        return Best()

    fake = SimpleNamespace(Recipe=Recipe, LABELS=(), train=train)
    monkeypatch.setattr(finetune.methods, "method", lambda name: fake)
    settings = finetune.Finetune("erm", None, RECIPE, NETWORK, "float32", ["x", "y"], targets, list(targets))
    given = {"split": tmp_path / "split.parquet", "pixels": tmp_path / "pixels", "weights": []}
    for seed in "01":
        made = {"model": tmp_path / f"{seed}.safetensors", "predictions": tmp_path / f"{seed}.parquet"}
        finetune.work(settings, SimpleNamespace(**given, **made, selection=[], work=None, seed=seed))
    assert [seen[0].train.group.tolist(), seen[0].validation.group.tolist()] == [[0, 0, 0], [1, 1]]
    assert seen[0].seed != seen[1].seed
    facts = [parquet.facts(tmp_path / f"{seed}.parquet")["weights_sha256"] for seed in "01"]
    assert facts[0] != facts[1]


def test_the_likeliest_class_is_predicted() -> None:
    row = {"id": 1, "group": "g", "split": "test", "target": "x"}
    found = finetune.prediction_columns([row], torch.tensor([[0.0, math.log(3)]]), ["x", "y"])
    assert found["predicted"] == ["y"]
    assert found["probabilities"][0] == pytest.approx([0.25, 0.75])
