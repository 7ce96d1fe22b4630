"""Curves in a small file: means over equal parts of a run, and never those of another training."""

import json
from pathlib import Path

import pytest

from fairgen.monitor import curves


def test_a_long_run_has_points_that_are_means() -> None:
    run = curves.begun("g/0", "train", 1000)
    for step in range(1, 1001):
        curves.add(run, step, float(step), 2.0 if step % 5 == 0 else None, 0.5)
    curve = curves.told(run)["training"]
    assert curve["step"] == list(range(5, 1001, 5)) and len(curve["step"]) == curves.POINTS
    assert curve["loss"][:2] == [3.0, 8.0] and set(curve["gradient_norm"]) == {2.0}
    assert "open" not in curves.told(run)


def test_the_last_part_is_shorter_where_the_run_is_no_multiple() -> None:
    run = curves.begun("", "train", 403)
    for step in range(1, 404):
        curves.add(run, step, 1.0, None, 0.5)
    assert run["training"]["step"][-2:] == [402, 403] and run["training"]["gradient_norm"][0] is None


def test_looks_with_other_figures_keep_their_places() -> None:
    run = {**curves.begun("", "train", 2), "looks": [{"step": 0, "a": 1.0}, {"step": 2, "a": 2.0, "b": None}]}
    assert curves.told(run)["looks"] == {"step": [0, 2], "a": [1.0, 2.0], "b": [None, None]}


def test_a_number_that_is_not_finite_is_left_out() -> None:
    assert curves.number(float("nan")) is None and curves.number(float("inf")) is None
    assert curves.number(1 / 3) == pytest.approx(1 / 3, abs=1e-6)


def test_curves_of_another_training_are_not_read(tmp_path: Path) -> None:
    artifact = tmp_path / "adapters/g/0.safetensors"
    assert curves.read(artifact, "mine") is None
    curves.write(curves.beside(artifact), {"lineage": "mine", "runs": []})
    assert curves.beside(artifact).name == "0.curves.json"
    assert curves.read(artifact, "mine") == {"lineage": "mine", "runs": []}
    assert curves.read(artifact, "another") is None
    curves.beside(artifact).write_text(json.dumps({"lineage": "mine"})[:-3])
    assert curves.read(artifact, "mine") is None
