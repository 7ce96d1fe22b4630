"""The benchmarks run, and write the ratios that they print."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from workflows import PROJECT, Workflow

TINY = {
    "adapt": ["--steps", "2", "--images", "4"],
    "sample": ["--images", "4"],
    "shared": ["--steps", "3", "--images", "2", "--batch", "2", "--adapters", "2"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_a_benchmark_writes_its_ratios(name: str, tmp_path: Path) -> None:
    file = tmp_path / "ratios.json"
    command = [sys.executable, f"benchmarks/{name}.py", "--repeats", "1", "--json", str(file), *TINY[name]]
    env = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    ratios = json.loads(file.read_text())["ratios"]
    assert ratios
    # so few steps are within the noise
    assert all(value > 0 for name, value in ratios.items() if not name.endswith("steps"))
    assert all(math.isfinite(value) for value in ratios.values())
    assert "ratio" in done.stdout


@pytest.mark.slow
def test_scale_counts_what_sharing_saves(workflow: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    import scale

    config = {"ratios": [0.9, 0.99], "seeds": [0], "compare": ["vanilla", "lora"]}
    _, jobs = scale.plan(workflow.folder, config)
    alone, common = scale.sharing(workflow.folder, config)
    assert [found["split"] for found in (jobs, common, alone)] == [2, 2, 4]
    assert [found["embed"] for found in (jobs, common, alone)] == [1, 2, 2]  # vanilla needs no clusters
    assert [found["sample"] for found in (jobs, common, alone)] == [4 + 8, 16, 16]
    assert [found["finetune"] for found in (jobs, common, alone)] == [4, 4, 4]


@pytest.mark.slow
def test_memory_compares_two_versions(tmp_path: Path) -> None:
    """Of the same code: about the same memory."""
    file = tmp_path / "ratios.json"
    words = [
        "--images",
        "200",
        "--size",
        "16",
        "--steps",
        "4",
        "--methods",
        "erm",
        "jtt",
        "--against",
        ".",
        "--json",
        str(file),
    ]
    env = {**os.environ, "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "benchmarks/memory.py", *words]
    done = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    ratios = json.loads(file.read_text())["ratios"]
    assert list(ratios) == ["erm memory", "erm processor time", "jtt memory", "jtt processor time"]
    assert all(0.8 < ratios[f"{name} memory"] < 1.25 for name in ("erm", "jtt"))
    assert "random batches" in done.stdout
