"""Curves of trainings as charts: which figure, which line, and none of another training."""

import json
from pathlib import Path

import pytest
from looked_at import write_curves

from fairgen.core import lineage, safetensors_file
from fairgen.monitor import curves
from fairgen.report import training_curves
from fairgen.report.training_curves import charts, sketches, trainings


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
    found = charts(trainings(tmp_path, ["any", "bias-0.9"], methods, [0, 3], None))
    assert [(name, [(s.name, list(s.x), list(s.y)) for s in lines]) for name, lines in found] == [
        ("vanilla, stage 1: training loss", [("seed 3", [1, 2], [3.0, 2.0])]),
        (
            "lora, generators of a-b: loss on held-out images, as a share of the base's",
            [("cluster 0", [1, 2], [1.0, 0.9]), ("cluster 1, step 1 kept", [1, 2], [1.0, 0.8])],
        ),
        ("jtt-identify, classifier, identify: training loss", [("seed 0", [1], [0.5])]),
        ("jtt-train, classifier: worst group on validation rows", [("seed 0", [1], [0.5])]),
    ]
    assert charts(trainings(tmp_path, ["bias-0.99"], methods, [0, 3], None)) == []


def test_curves_of_another_training_or_without_an_artifact_are_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = trained(tmp_path, "any/lora/adapters/a/0", "1", monkeypatch)
    write_curves(path, "a/0", [1.0])
    assert charts(trainings(tmp_path, ["any"], ["lora"], [0], None))
    trained(tmp_path, "any/lora/adapters/a/0", "2", monkeypatch)
    assert charts(trainings(tmp_path, ["any"], ["lora"], [0], None)) == []
    write_curves(path, "a/0", [1.0])
    path.unlink()
    assert charts(trainings(tmp_path, ["any"], ["lora"], [0], None)) == []


def test_an_interrupted_training_is_told_and_a_damaged_file_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    path = trained(tmp_path, "any/lora/adapters/a/0", "1", monkeypatch)
    write_curves(path, "a/0", [1.0, 0.5])
    document = json.loads(curves.beside(path).read_text())
    curves.write(curves.beside(path), {**document, "done": False})
    ((_, (line,)),) = charts(trainings(tmp_path, ["any"], ["lora"], [0], None))
    assert line.name == "cluster 0, interrupted: the rest of 2 steps was not watched"
    for change in ({"runs": [{"name": "a/0"}]}, {"runs": 5}):
        curves.write(curves.beside(path), document | change)
        assert charts(trainings(tmp_path, ["any"], ["lora"], [0], None)) == []
        assert "fairgen: warning: left out: " in capsys.readouterr().err


def test_a_run_without_a_point_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_curves(trained(tmp_path, "any/lora/adapters/a/0", "1", monkeypatch), "a/0", [float("nan")])
    assert charts(trainings(tmp_path, ["any"], ["lora"], [0], None)) == []


def test_images_drawn_on_the_way_are_shown_as_far_as_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = trained(tmp_path, "any/lora/adapters/a/0", "1", monkeypatch)
    write_curves(path, "a/0", [1.0, 0.5])
    document = json.loads(curves.beside(path).read_text())
    images = [f"data:image/webp;base64,{i}" for i in range(6)]
    document["runs"][0]["samples"] = [
        {"step": 1, "images": images, "near_copies": 0.5, "near_copies_held_out": 0.0},
        {"step": 2, "images": images, "near_copies": 0.0},
    ]
    curves.write(curves.beside(path), document)
    first, second = sketches(trainings(tmp_path, ["any"], ["lora"], [0], None))[0]
    assert first.name == "lora, generators of a, cluster 0: after 1 of 2 steps"
    assert first.images == images[: training_curves.SHOWN]
    assert (
        first.words
        == "4 of 6 shown; 50% of the 6 are near copies of training images (0% of held-out images are)"
    )
    assert second.words == "4 of 6 shown; 0% of the 6 are near copies of training images"
    monkeypatch.setattr(training_curves, "MOST", sum(map(len, first.images)))
    assert sketches(trainings(tmp_path, ["any"], ["lora"], [0], None)) == (
        [first],
        1,
    )


def test_only_trainings_that_the_page_is_made_from_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder keeps adapters of groups, and classifiers of seeds, that another config had."""
    for place, own in (
        *(("adapters/a/0", "1"), ("adapters/old-group/7", "0dd"), ("pretrain/seed-0", "2")),
        *(("pretrain/seed-1", "3"), ("seed-0/model", "4"), ("seed-1/model", "5"), ("seed-2/model", "0dd")),
    ):
        path = trained(tmp_path, f"any/lora/{place}", own, monkeypatch)
        write_curves(path, place.removeprefix("adapters/"), [1.0])
        document = json.loads(curves.beside(path).read_text())
        document["runs"][0]["samples"] = [{"step": 1, "images": ["data:,"], "near_copies": 0.0}]
        curves.write(curves.beside(path), document)
    given = (tmp_path, ["any"], ["lora"], [0, 2], ["1", "2", "3", "4", "5"])
    assert [(name, [line.name for line in lines]) for name, lines in charts(trainings(*given))] == [
        ("lora, generators of a: training loss", ["cluster 0"]),
        ("lora, stage 1: training loss", ["seed 0"]),
        ("lora, classifier: training loss", ["seed 0"]),
    ]
    assert [one.name.split(":")[0] for one in sketches(trainings(*given))[0]] == [
        *("lora, generators of a, cluster 0", "lora, stage 1, seed 0", "lora, classifier, seed 0")
    ]
