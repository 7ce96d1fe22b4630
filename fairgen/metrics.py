"""Stage `metrics`: accuracies of one trained classifier on the test rows, group by group.

Worst-group accuracy is the minimum over the groups that have test rows; `balanced` is the mean over groups, `average`
the share of all test rows that are right.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from fairgen import job, tables


@dataclass(frozen=True)
class Metrics:
    """The groups of the data set, in the config's order."""

    groups: list[str]


def group_accuracies(correct: np.ndarray, group: np.ndarray, names: list[str]) -> dict[str, dict[str, Any]]:
    """Accuracy and n of each group; an empty group has n = 0 and accuracy None."""
    found = {}
    for name in names:
        own = correct[group == name]
        found[name] = {"accuracy": float(own.mean()) if len(own) else None, "n": len(own)}
    return found


def summarise(correct: np.ndarray, group: np.ndarray, names: list[str]) -> dict[str, Any]:
    """Worst-group, average and balanced accuracy of (n,) outcomes with their groups (n,)."""
    groups = group_accuracies(correct, group, names)
    present = {name: g["accuracy"] for name, g in groups.items() if g["n"]}
    worst = min(present, key=present.get)
    return {
        "worst_group_accuracy": present[worst],
        "worst_group": worst,
        "average_accuracy": float(correct.mean()),
        "balanced_accuracy": float(np.mean(list(present.values()))),
        "empty_groups": [name for name, g in groups.items() if not g["n"]],
        "groups": groups,
    }


def work(settings: Metrics, paths: SimpleNamespace) -> None:
    """Write the metrics of the test rows, with the weights' hash and the selection's facts."""
    rows = [r for r in tables.rows(paths.predictions) if r["split"] == "test"]
    correct = np.array([r["predicted"] == r["target"] for r in rows])
    result = summarise(correct, np.array([r["group"] for r in rows]), settings.groups)
    result |= tables.facts(paths.predictions)
    Path(paths.metrics).write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    job.main(work, Metrics, reads=["predictions"], writes=["metrics"])
