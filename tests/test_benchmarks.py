"""The benchmarks run, and write the ratios that they print."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
TINY = {"adapt": ["--steps", "2", "--images", "4"], "sample": ["--images", "4"]}


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
    assert all(value > 0 for value in ratios.values())
    assert "ratio" in done.stdout
