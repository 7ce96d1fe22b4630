"""The estimate of a target: jobs of the dry run times what earlier jobs took."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Workflow

from fairgen import estimate, timing


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("bias-0.9/lora/adapters/a/0.tsv", "adapt"),
        ("bias-0.9/lora/adapters/a.tsv", "adapt_shared"),
        ("any/vanilla/samples/a.tsv", "sample"),
        ("any/vanilla/pretrain/seed-0.tsv", "pretrain"),
        ("bias-0.9/erm/seed-0/finetune.tsv", "finetune"),
        ("pixels/224.tsv", "decode"),
        ("index.tsv", "index"),
    ],
)
def test_the_rule_behind_a_benchmark_file(path: str, rule: str) -> None:
    assert timing.rule_of(Path(path)) == rule


def test_costs_are_jobs_times_means(tmp_path: Path) -> None:
    folder = tmp_path / "bias-0.9/lora/adapters/a"
    folder.mkdir(parents=True)
    (folder / "0.safetensors").write_bytes(bytes(2_000_000))
    jobs, seconds = {"adapt": 10, "sample": 4, "index": 1}, {"adapt": [3600, 7200], "index": [2]}
    found = {c.rule: c for c in estimate.costs(jobs, seconds, timing.megabytes_known(tmp_path))}
    assert (found["adapt"].seconds, found["adapt"].megabytes) == (54000, 20)
    assert (found["sample"].seconds, found["sample"].megabytes) == (None, None)
    text = estimate.report(list(found.values()), gpus=2, images=880)
    assert "GPU hours: 30.00" in text
    assert "synthetic images to draw: 880" in text
    assert text.endswith("not counted, for no job of theirs has run on this data set: sample")


def test_the_command_plans_and_refuses(workflow: Workflow) -> None:
    def call(target: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "fairgen", "estimate", target]
        return subprocess.run(command, cwd=workflow.folder, capture_output=True, text=True)

    done = call("results/birds/worst_group.json")
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line}
    assert rows["adapt"] == ["24", "?", "?"]
    assert rows["finetune"][0] == "18"
    assert "synthetic images to draw: 3520" in done.stdout
    done = call("results/birdz/worst_group.json")
    assert done.returncode == 1
    assert "unknown data set 'birdz'" in done.stderr
