"""Every stage's command line: one line when it fails, nothing partial, the trace in the log."""

import json
import subprocess
import sys
from pathlib import Path

import torch

from fairgen import job, tables
from fairgen.settings import canonical


def command(stage: str, settings: dict, **options: object) -> subprocess.CompletedProcess:
    words = [sys.executable, "-m", f"fairgen.{stage}", "--settings", canonical(settings)]
    for name, value in options.items():
        words += [f"--{name}", str(value)]
    return subprocess.run(words, capture_output=True, text=True)


def test_a_failing_stage_says_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    settings = {"groups": {"a": {"target": "x", "role": "aligned"}}, "validation_floor": 1, "seed": 0}
    tables.write(tmp_path / "index.parquet", {"id": [1], "group": ["b"], "split": ["train"]}, {"root": "."})
    options = {"index": tmp_path / "index.parquet", "split": tmp_path / "out/split.parquet", "log": tmp_path / "log"}
    done = command("split", settings, scope="bias-0.9", **options)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("fairgen split: ")
    assert "Traceback" in (tmp_path / "log").read_text()
    assert list((tmp_path / "out").iterdir()) == []


def test_a_gpu_without_memory_gets_advice() -> None:
    said = job.one_line(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB."), None)
    assert said.startswith("OutOfMemoryError: CUDA out of memory. Tried to allocate 9.00 GiB.; lower the stage's batch")


def test_unknown_and_missing_settings_are_named(tmp_path: Path) -> None:
    (tmp_path / "p.parquet").touch()
    files = {name: tmp_path / "p.parquet" for name in ("predictions", "split")}
    for settings, named in (({"group": []}, "unknown key 'group'"), ({"classes": []}, "key 'groups' is missing")):
        done = command("metrics", settings, metrics=tmp_path / "m.json", **files)
        assert done.returncode == 1
        assert named in done.stderr


def test_metrics_as_a_command(tmp_path: Path) -> None:
    rows = {"group": ["a", "a"], "split": ["test", "test"], "predicted": ["x", "y"], "probabilities": [[0.9, 0.1], [0.3, 0.7]]}
    tables.write(tmp_path / "p.parquet", rows, {"weights_sha256": "0"})
    tables.write(tmp_path / "s.parquet", {"id": [1]}, {"counts": {"train": {"a": 5}}})
    settings = {"groups": {"a": {"target": "x", "bias": "b", "role": "aligned"}}, "classes": ["x", "y"]}
    files = {"predictions": tmp_path / "p.parquet", "split": tmp_path / "s.parquet", "metrics": tmp_path / "m.json"}
    done = command("metrics", settings, **files)
    assert done.returncode == 0
    found = json.loads((tmp_path / "m.json").read_text())
    assert found["worst_group_accuracy"] == 0.5
    assert (found["groups"]["a"]["train_n"], found["auroc"], found["weights_sha256"]) == (5, None, "0")
