"""The linters and the type checker that the project keeps to."""

import subprocess
import sys

import pytest
from workflows import PROJECT

SMK = ["Snakefile", *sorted(str(p.relative_to(PROJECT)) for p in (PROJECT / "rules").glob("*.smk"))]


@pytest.mark.parametrize(
    "words",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["snakefmt", "--check", *SMK],
        ["snakemake", "--lint"],
    ],
    ids=lambda words: "-".join(words[:2]),
)
def test_gate(words: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", *words], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_sizes_keep_to_the_house_rules() -> None:
    assert len((PROJECT / "Snakefile").read_text().splitlines()) < 50
    for path in PROJECT.glob("fairgen/**/*.py"):
        assert len(path.read_text().splitlines()) <= 280, path
