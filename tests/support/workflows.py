"""A private copy of the workflow, small enough to run in a test, and results that no run has made."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import warm
import yaml

PROJECT = Path(__file__).parents[2]
TINY = {  # the smallest run from drawings to figures: one generator per group, two groups of which borrow
    "ratios": [0.999],
    "seeds": [0],
    "compare": ["lora"],
    "datasets": {
        "birds": {
            "options": {"train": 60, "validation": 20, "test": 20, "shift": 4},
            "settings": {
                "prior": {"count": 8, "solver": {"steps": 3}},
                "adapt": {"borrow_below": 5, "lora": {"steps": 6}},
                "sample": {"per_group": 12, "solver": {"steps": 3}},
                "filter": {"quota": 6, "allow_shortfall": True, "threshold": 0.02},
                "pretrain": {"steps": 8},
                "finetune": {"head": {"steps": 4}},
            },
        }
    },
}
# of birds, such as a shared batch can train: linear layers, and the text encoder as it is
PLAIN_LORA = {"adapt": {"lora": {"text_lr": 0, "targets": ["to_q", "to_k", "to_v", "to_out.0"]}}}


@dataclass
class Workflow:
    """A copy of the workflow in its own folder."""

    folder: Path
    package: Path | None = None  # where fairgen is, if not in the copy
    warm: bool = False  # jobs are of processes that have loaded their libraries before

    def run(self, *words: str, cores: int = 1) -> subprocess.CompletedProcess:
        """Call snakemake there."""
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), *words]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment(), capture_output=True, text=True
        )

    def start(self, words: Sequence[str], said: Path, env: dict[str, str]) -> subprocess.Popen:
        """Call snakemake without waiting; what it says goes into a file, for orphans would hold a pipe
        open.
        """
        with said.open("w") as file:
            command = [sys.executable, "-m", "snakemake", *words]
            return subprocess.Popen(command, cwd=self.folder, env=env, stdout=file, stderr=file)

    def environment(self) -> dict[str, str]:
        """Variables for processes in the copy."""
        # what timm has passed
        kept = {"FAIRGEN_CACHE": str(Path(tempfile.gettempdir(), f"fairgen-tests-{os.getuid()}"))}
        path = f"{self.package or self.folder}{os.pathsep}{PROJECT / 'tests/support/lighter'}"
        own = {"PYTHONPATH": path, "XDG_CACHE_HOME": str(self.folder / ".cache")}
        own["PYTHONDONTWRITEBYTECODE"] = ""  # or every job of the copy compiles fairgen anew
        if self.warm and warm.POSSIBLE:
            own["FAIRGEN_TESTS_WARM"] = warm.server()
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
    shutil.copytree(
        PROJECT / "fairgen", folder / "fairgen", ignore=shutil.ignore_patterns("weights", "__pycache__")
    )
    (folder / "fairgen/embedded/weights").symlink_to(PROJECT / "fairgen/embedded/weights")
    return Workflow(folder)


def result(
    dataset: str = "toy",
    ratios: tuple[float | str, ...] = (0.99,),
    ceilings: tuple[str, ...] = (),
    **accuracies: list[float],
) -> dict:
    """A `worst_group.json` of methods with these worst-group accuracies, one per seed, the same at every
    ratio; some of them may be ceilings.
    """
    from fairgen.evaluate import comparison, results

    counts = dict.fromkeys(("n", "train_n", "validation_n"), 9)

    def entry(values: list[float]) -> dict:
        return comparison.summarise(
            [
                {
                    **dict.fromkeys(results.METRICS, value),
                    "worst_group": "a",
                    "worst_group_wilson95": [value, value],
                    "groups": {
                        name: {"accuracy": value, **counts, "wilson95": [value, value]} for name in "ab"
                    },
                    "empty_groups": {"train": [], "validation": [], "test": []},
                    **{
                        "group_labels": ["selection"],
                        "validation_rows": 20,
                        "training_rows": 99,
                        "gradient_steps": 10,
                    },
                    "shift": None,
                    "weights_sha256": "0" * 64,
                }
                for value in values
            ]
        )

    table = {str(ratio): {method: entry(values) for method, values in accuracies.items()} for ratio in ratios}
    methods = {name: {"ceiling": True} if name in ceilings else {} for name in accuracies}
    config = {"methods": methods, "dataset": {"format": "birds"}}
    return {
        "schema_version": results.SCHEMA_VERSION,
        "dataset": dataset,
        "seeds": list(range(len(next(iter(accuracies.values()))))),
        "config_sha256": "0" * 64,
        "config": config,
        "versions": comparison.versions(),
        "results": table,
        "comparisons": {ratio: comparison.pairs(entries, config) for ratio, entries in table.items()},
    }


def planned(
    workflow: Workflow, *words: str, target: str = "results/birds/worst_group.json"
) -> dict[str, int]:
    """Jobs per rule that a dry run announces; fails with the output if there is no plan."""
    done = workflow.run("--dry-run", *words, target)
    assert done.returncode == 0, done.stdout + done.stderr
    text = done.stdout + done.stderr
    counts = dict(re.findall(r"^(\w+) +(\d+)$", text, re.M))
    assert counts or "Nothing to be done" in text, text
    return {rule: int(n) for rule, n in counts.items() if rule != "total"}


class Wildcards(SimpleNamespace):
    """Wildcards as snakemake hands them to input functions."""

    def items(self) -> object:
        return vars(self).items()
