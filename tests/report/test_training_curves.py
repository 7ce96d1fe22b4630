"""Curves of trainings as charts: which figure, which line, and none of another training."""

import json
from pathlib import Path

import pytest
from looked_at import write_curves

from fairgen.core import lineage, safetensors_file
from fairgen.monitor import curves
from fairgen.report import training_curves


def trained(folder: Path, place: str, hash_: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An artifact of a lineage."""
    monkeypatch.setattr(lineage, "current", lineage.Lineage(hash=hash_))
    path = folder / f"{place}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    safetensors_file.save(path, {}, {})
    return path


def test_a_chart_for_each_method_and_group_and_a_line_for_each_cluster_or_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = "bias-0.9/lora"
    for cluster in range(2):
        path = trained(tmp_path, f"{cell}/adapters/a-b/{cluster}", "1", monkeypatch)
        write_curves(path, f"a-b/{cluster}", [1.0, 0.9 - cluster / 10], "held_out_loss")
    document = json.loads(curves.beside(path).read_text())
    document["runs"][0]["selected_step"] = 1
    curves.write(curves.beside(path), document)
    write_curves(trained(tmp_path, "any/vanilla/pretrain/seed-3", "1", monkeypatch), "", [3.0, 2.0])
    for phase, figure in (("identify", ""), ("train", "validation_worst_group")):
        write_curves(
            trained(tmp_path, f"bias-0.9/jtt-{phase}/seed-0/model", "1", monkeypatch),
            "",
            [0.5],
            figure,
            phase,
        )
    methods = ["vanilla", "lora", "jtt-identify", "jtt-train", "absent"]
    found = training_curves.charts(tmp_path, ["any", "bias-0.9"], methods)
    assert [(name, [(s.name, list(s.x), list(s.y)) for s in lines]) for name, lines in found] == [
        ("vanilla, stage 1: training loss", [("seed 3", [1, 2], [3.0, 2.0])]),
        (
            "lora, generators of a-b: loss on held-out images, as a share of the base's",
            [("cluster 0", [1, 2], [1.0, 0.9]), ("cluster 1, step 1 kept", [1, 2], [1.0, 0.8])],
        ),
        ("jtt-identify, classifier, identify: training loss", [("seed 0", [1], [0.5])]),
        ("jtt-train, classifier: worst group on validation rows", [("seed 0", [1], [0.5])]),
    ]
    assert training_curves.charts(tmp_path, ["bias-0.99"], methods) == []


def test_curves_of_another_training_or_without_an_artifact_are_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = trained(tmp_path, "any/lora/adapters/a/0", "1", monkeypatch)
    write_curves(path, "a/0", [1.0])
    assert training_curves.charts(tmp_path, ["any"], ["lora"])
    trained(tmp_path, "any/lora/adapters/a/0", "2", monkeypatch)
    assert training_curves.charts(tmp_path, ["any"], ["lora"]) == []
    write_curves(path, "a/0", [1.0])
    path.unlink()
    assert training_curves.charts(tmp_path, ["any"], ["lora"]) == []


def test_a_run_without_a_point_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_curves(trained(tmp_path, "any/lora/adapters/a/0", "1", monkeypatch), "a/0", [float("nan")])
    assert training_curves.charts(tmp_path, ["any"], ["lora"]) == []
