"""Every stage's command line: one line when it fails, nothing partial, the trace in the log."""

import json
import subprocess
import sys
from pathlib import Path

from fairgen import tables
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


def test_unknown_and_missing_settings_are_named(tmp_path: Path) -> None:
    (tmp_path / "p.parquet").touch()
    for settings, named in (({"group": []}, "unknown key 'group'"), ({}, "key 'groups' is missing")):
        done = command("metrics", settings, predictions=tmp_path / "p.parquet", metrics=tmp_path / "m.json")
        assert done.returncode == 1
        assert named in done.stderr


def test_metrics_as_a_command(tmp_path: Path) -> None:
    rows = {"id": [1, 2], "group": ["a", "a"], "split": ["test", "test"], "target": ["x", "y"], "predicted": ["x", "x"]}
    tables.write(tmp_path / "p.parquet", rows, {"weights_sha256": "0"})
    done = command("metrics", {"groups": ["a"]}, predictions=tmp_path / "p.parquet", metrics=tmp_path / "m.json")
    assert done.returncode == 0
    assert json.loads((tmp_path / "m.json").read_text())["worst_group_accuracy"] == 0.5
