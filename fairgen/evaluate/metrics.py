"""Stage `metrics`: figures of one trained classifier on the test rows, group by group and over all.

Where the data have rows of `shift`, a second test set under another law, `shift` holds the accuracies on
those.

Figures over groups take the groups that have test rows. `empty_groups` names the groups without training,
validation or test rows. A figure that the test rows do not define is null.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairgen.core import job, lineage, parquet
from fairgen.evaluate import intervals, prediction_metrics
from fairgen.evaluate.results import SHIFTED


@dataclass(frozen=True)
class Group:
    """A group's class and bias value, and whether they usually go together."""

    target: str
    bias: str
    role: str  # aligned | conflicting


@dataclass(frozen=True)
class Metrics:
    """The groups of the data set, and its classes in the order of the predicted probabilities."""

    groups: dict[str, Group]
    classes: list[str]


@dataclass(frozen=True)
class Predictions:
    """Rows of a split: group (n,), predicted class (n,), probabilities (n, classes)."""

    group: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True)
class Files(job.Files):
    """What a job reads and writes."""

    predictions: job.Input
    split: job.Input
    metrics: job.Output


def load(path: Path, split: str) -> Predictions:
    """The rows of one split in a predictions file."""
    rows = [r for r in parquet.rows(path) if r["split"] == split]
    return Predictions(*(np.array([r[key] for r in rows]) for key in ("group", "predicted", "probabilities")))


def group_accuracies(
    correct: np.ndarray, group: np.ndarray, names: Iterable[str], counts: dict[str, dict[str, int]]
) -> dict[str, dict[str, Any]]:
    """Accuracy with Wilson interval and rows of each group; a group without test rows has n = 0 and accuracy
    None.

    Args:
        correct: (n,) whether a row is right.
        group: (n,) the rows' groups.
        names: every group of the data set.
        counts: `train` and `validation` rows of the groups that have any.
    """
    found = {}
    for name in names:
        own = correct[group == name]
        accuracy, interval = (
            (float(own.mean()), intervals.wilson(int(own.sum()), len(own))) if len(own) else (None, None)
        )
        used = {f"{split}_n": counts.get(split, {}).get(name, 0) for split in ("train", "validation")}
        found[name] = {"accuracy": accuracy, "wilson95": interval, "n": len(own), **used}
    return found


def empty_groups(groups: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """The groups that have no row in a split, split by split."""
    counts = {"train": "train_n", "validation": "validation_n", "test": "n"}
    return {split: [name for name, g in groups.items() if not g[key]] for split, key in counts.items()}


def accuracies(groups: dict[str, dict[str, Any]], conflicting: set[str]) -> dict[str, Any]:
    """Accuracies over the groups that have test rows.

    The worst group is the first of the smallest accuracy. `average` weights groups by their test rows,
    `balanced` equally, `train_weighted` by their training rows at this ratio (the adjusted average of Sagawa
    et al. 2020), and `bias_conflicting` is the share of the conflicting groups' rows that are right.

    Args:
        groups: what `group_accuracies` returns.
        conflicting: names of the bias-conflicting groups.
    """
    present = {name: g for name, g in groups.items() if g["n"]}
    accuracy, n, train_n = (
        np.array([g[key] for g in present.values()]) for key in ("accuracy", "n", "train_n")
    )

    def weighted(weights: np.ndarray) -> float | None:
        return float(accuracy @ weights / weights.sum()) if weights.sum() else None

    worst = min(present, key=lambda name: present[name]["accuracy"], default=None)
    return {
        "worst_group_accuracy": present[worst]["accuracy"] if worst else None,
        "worst_group": worst,
        "worst_group_wilson95": intervals.wilson_minimum(
            np.rint(accuracy * n).astype(int).tolist(), n.tolist()
        )
        if worst
        else None,
        "average_accuracy": weighted(n),
        "balanced_accuracy": weighted(np.ones_like(n)),
        "train_weighted_accuracy": weighted(train_n),
        "bias_conflicting_accuracy": weighted(n * [name in conflicting for name in present]),
        "empty_groups": empty_groups(groups),
        "groups": groups,
    }


def summarise(rows: Predictions, settings: Metrics, counts: dict[str, dict[str, int]]) -> dict[str, Any]:
    """All figures of the test rows; `counts` are the `train` and `validation` rows of each group that has
    any.
    """
    target, bias = (
        np.array([getattr(settings.groups[g], key) for g in rows.group]) for key in ("target", "bias")
    )
    labels, values = (
        prediction_metrics.Outcomes(target, rows.predicted, bias),
        list(dict.fromkeys(g.bias for g in settings.groups.values())),
    )
    correct = rows.predicted == target
    conflicting = {name for name, g in settings.groups.items() if g.role == "conflicting"}
    top = rows.probabilities.max(axis=1) if len(correct) else np.array([])
    return {
        **accuracies(group_accuracies(correct, rows.group, settings.groups, counts), conflicting),
        "equalized_odds_difference": prediction_metrics.equalized_odds(labels, settings.classes, values),
        "demographic_parity_difference": prediction_metrics.demographic_parity(
            labels, settings.classes, values
        ),
        "auroc": prediction_metrics.auroc(target, rows.probabilities, settings.classes),
        "expected_calibration_error": prediction_metrics.calibration_error(correct, top),
    }


def on_shift(rows: Predictions, settings: Metrics) -> dict[str, Any] | None:
    """Accuracies on the second test set; None where there is none."""
    if not len(rows.group):
        return None
    correct = rows.predicted == [settings.groups[g].target for g in rows.group]
    groups = group_accuracies(correct, rows.group, settings.groups, {})
    found = accuracies(groups, set())
    return {
        **{key: found[key] for key in ("worst_group", *SHIFTED)},
        "groups": {
            name: {key: g[key] for key in ("accuracy", "wilson95", "n")} for name, g in groups.items()
        },
    }


def work(settings: Metrics, files: Files) -> None:
    """Write the metrics of the test rows, with the weights' hash and the selection's facts."""
    counts = parquet.facts(files.split)["counts"]
    result = summarise(load(files.predictions, "test"), settings, counts)
    result["shift"] = on_shift(load(files.predictions, "shift"), settings)
    result |= parquet.facts(files.predictions)
    lineage.write_json(files.metrics, result, sort_keys=True)


if __name__ == "__main__":
    job.main(work, Metrics, Files)
