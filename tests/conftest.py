"""Shared fixtures: a private copy of the workflow, small enough to run in a test."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: tests run two at a time on two cores

import pytest
import yaml

PROJECT = Path(__file__).parent.parent
TINY = {  # the smallest run from drawings to figures: one generator per group, two groups of which borrow
    "ratios": [0.999],
    "seeds": [0],
    "compare": ["lora"],
    "datasets": {
        "birds": {
            "options": {"train": 60, "validation": 20, "test": 20},
            "settings": {
                "adapt": {"borrow_below": 5, "lora": {"steps": 6}},
                "sample": {"per_group": 12, "solver": {"steps": 3}},
                "filter": {"quota": 6, "allow_shortfall": True, "threshold": 0.02},
                "pretrain": {"steps": 8},
                "finetune": {"head": {"steps": 4}},
            },
        }
    },
}


@dataclass
class Workflow:
    """A copy of the workflow in its own folder."""

    folder: Path
    package: Path | None = None  # where fairgen is, if not in the copy

    def run(self, *words: str, cores: int = 1) -> subprocess.CompletedProcess:
        """Call snakemake there."""
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), *words]
        return subprocess.run(command, cwd=self.folder, env=self.environment(), capture_output=True, text=True)

    def start(self, words: Sequence[str], said: Path, env: dict[str, str]) -> subprocess.Popen:
        """Call snakemake without waiting; what it says goes into a file, for orphans would hold a pipe open."""
        with said.open("w") as file:
            command = [sys.executable, "-m", "snakemake", *words]
            return subprocess.Popen(command, cwd=self.folder, env=env, stdout=file, stderr=file)

    def environment(self) -> dict[str, str]:
        """Variables for processes in the copy."""
        kept = {"FAIRGEN_CACHE": str(Path(tempfile.gettempdir(), f"fairgen-tests-{os.getuid()}"))}  # what timm has passed
        own = {"PYTHONPATH": str(self.package or self.folder), "XDG_CACHE_HOME": str(self.folder / ".cache")}
        return {**os.environ, **kept, **own}

    def edit(self, change: dict) -> None:
        """Merge a change into the copy's config.yaml."""
        from fairgen.workflow.method_chain import merged

        path = self.folder / "config.yaml"
        path.write_text(yaml.safe_dump(merged(yaml.safe_load(path.read_text()), change), sort_keys=False))


def copy_workflow(folder: Path) -> Workflow:
    """Copy the workflow's files; the weights are linked."""
    for name in ("rules", "profiles", "envs", "examples"):
        shutil.copytree(PROJECT / name, folder / name)
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(PROJECT / name, folder / name)
    shutil.copytree(PROJECT / "fairgen", folder / "fairgen", ignore=shutil.ignore_patterns("weights", "__pycache__"))
    (folder / "fairgen/embedded/weights").symlink_to(PROJECT / "fairgen/embedded/weights")
    return Workflow(folder)


@pytest.fixture
def workflow(tmp_path: Path) -> Workflow:
    """A fresh copy of the workflow."""
    return copy_workflow(tmp_path)


@pytest.fixture(scope="session")
def config() -> dict:
    """The project's config."""
    return yaml.safe_load((PROJECT / "config.yaml").read_text())


@pytest.fixture(scope="session")
def schema() -> dict:
    """The config's schema."""
    return yaml.safe_load((PROJECT / "rules/config.schema.yaml").read_text())


@pytest.fixture(scope="session")
def base():
    """The embedded diffusion model."""
    from fairgen.models.base_model import Base

    return Base("fairgen:embedded/weights/diffusion", None, None, "float32", 32)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A random miniature of each architecture of the base model."""
    import miniatures

    place = tmp_path_factory.mktemp("bases")
    return {name: miniatures.build(place, name) for name in miniatures.ARCHITECTURES}


def result(dataset: str = "toy", ratios: tuple[float | str, ...] = (0.99,), **accuracies: list[float]) -> dict:
    """A `worst_group.json` of methods with these worst-group accuracies, one per seed, the same at every ratio."""
    from fairgen.evaluate import comparison, results

    counts = dict.fromkeys(("n", "train_n", "validation_n"), 9)

    def entry(values: list[float]) -> dict:
        return comparison.summarise(
            [
                {
                    **dict.fromkeys(comparison.FIGURES, value),
                    "worst_group": "a",
                    "worst_group_wilson95": [value, value],
                    "groups": {name: {"accuracy": value, **counts, "wilson95": [value, value]} for name in "ab"},
                    "empty_groups": {"train": [], "validation": [], "test": []},
                    **{"group_labels": ["selection"], "validation_rows": 20, "training_rows": 99, "gradient_steps": 10},
                    "weights_sha256": "0" * 64,
                }
                for value in values
            ]
        )

    table = {str(ratio): {method: entry(values) for method, values in accuracies.items()} for ratio in ratios}
    return {
        "schema_version": results.SCHEMA_VERSION,
        "dataset": dataset,
        "seeds": list(range(len(next(iter(accuracies.values()))))),
        "config_sha256": "0" * 64,
        "config": {"methods": {name: {} for name in accuracies}, "dataset": {"format": "birds"}},
        "versions": comparison.versions(),
        "results": table,
        "comparisons": {ratio: comparison.pairs(methods) for ratio, methods in table.items()},
    }
