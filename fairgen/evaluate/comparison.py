"""The comparison of methods over ratios and seeds: the published document, its CSV, and its table on the
terminal.
"""

import json
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from fairgen import __version__
from fairgen.core import schemas
from fairgen.core.errors import FairgenError
from fairgen.evaluate import intervals
from fairgen.evaluate.results import METRICS, SCHEMA_VERSION, SHIFTED, ceilings, empty_groups, missing, trial

LOOKED_UP = ("worst_group", "groups", "empty_groups", "shift")
USED = ("group_labels", "validation_rows", "training_rows")  # what a method had to learn from
PACKAGES = (
    *("snakemake", "torch", "diffusers", "peft", "transformers", "timm", "faiss-cpu", "pyarrow"),
    *("numpy", "scipy", "scikit-learn", "fairlearn"),
)


@dataclass(frozen=True)
class WorstGroup:
    """What is compared, in the order of the metrics files: ratios, then methods, then seeds."""

    dataset: str
    ratios: list[float | str]
    compare: list[str]
    seeds: list[int]
    config_sha256: str
    config: dict[str, Any]  # what `config_sha256` is the hash of


def summarise(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """One method's entry from its metrics, one per seed.

    Raises:
        FairgenError: no group has a test row.
    """
    if runs[0]["worst_group"] is None:
        raise FairgenError(
            "no group has a test row, so there is nothing to compare; check the data set's split"
        )
    entry: dict[str, Any] = {name: intervals.over_runs([run[name] for run in runs]) for name in METRICS}
    groups = {}
    for name, first in runs[0]["groups"].items():
        own = [run["groups"][name] for run in runs]
        groups[name] = {
            **{key: first[key] for key in ("n", "train_n", "validation_n")},
            "accuracy": intervals.over_runs([g["accuracy"] for g in own]),
            "wilson95": [g["wilson95"] for g in own] if first["n"] else None,
        }
    present = {name: g["accuracy"]["mean"] for name, g in groups.items() if g["n"]}
    entry["worst_group"] = {
        "per_seed": [run["worst_group"] for run in runs],
        "by_mean": min(present, key=lambda name: present[name]),
        "wilson95": [run["worst_group_wilson95"] for run in runs],
    }
    entry |= {"groups": groups, **{key: runs[0][key] for key in ("empty_groups", *USED)}}
    entry["shift"] = on_shift([run["shift"] for run in runs]) if runs[0]["shift"] else None
    entry["gradient_steps"] = max(run["gradient_steps"] for run in runs)  # early stopping makes them differ
    return entry | {"weights_sha256": [run["weights_sha256"] for run in runs]}


def on_shift(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """One method's accuracies on the second test set, from those of each seed."""
    groups = {
        name: {
            "n": first["n"],
            "accuracy": intervals.over_runs([run["groups"][name]["accuracy"] for run in runs]),
        }
        for name, first in runs[0]["groups"].items()
    }
    return {**{name: intervals.over_runs([run[name] for run in runs]) for name in SHIFTED}, "groups": groups}


def figure_cells(name: str, figure: dict[str, Any] | None) -> dict[str, Any]:
    """A figure over seeds as cells of the CSV: mean, standard deviation, and the ends of its interval."""
    value = figure or {"mean": None, "sd": None, "ci95": None}
    low, high = value["ci95"] or (None, None)
    return {name: value["mean"], f"{name}_sd": value["sd"], f"{name}_low": low, f"{name}_high": high}


def pairs(results: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """Paired comparison of the methods of one ratio by worst-group accuracy, seed by seed."""
    values = {name: r["worst_group_accuracy"]["per_seed"] for name, r in results.items()}
    return intervals.ranking(values, ceilings=ceilings(config, values))


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    found = {"python": sys.version.split()[0], "fairgen": __version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def table_rows(results: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per ratio and method, for the CSV; an undefined figure is an empty cell.

    `worst_group_wilson_low` and `_high` are the ends of the interval over test rows, averaged over seeds;
    `no_train_row`, `no_validation_row` and `no_test_row` name the groups without any.
    """
    rows = []
    cells = [
        (ratio, method, entry) for ratio, methods in results.items() for method, entry in methods.items()
    ]
    for ratio, method, entry in cells:
        row: dict[str, Any] = {"ratio": ratio, "method": method}
        for figure in METRICS:
            row |= figure_cells(figure, entry[figure])
        low, high = np.mean(entry["worst_group"]["wilson95"], axis=0).tolist()
        row |= {"worst_group": entry["worst_group"]["by_mean"]}
        row |= {"worst_group_wilson_low": low, "worst_group_wilson_high": high}
        row |= {f"no_{split}_row": " ".join(names) for split, names in entry["empty_groups"].items()}
        for group, figures in entry["groups"].items():
            row |= {f"{group}_{key}": figures[key] for key in ("n", "train_n", "validation_n")}
            row |= {f"{group}_accuracy": figures["accuracy"]["mean"] if figures["n"] else None}
        if entry["shift"]:
            row |= figure_cells("shift_worst_group_accuracy", entry["shift"]["worst_group_accuracy"])
        rows.append(row)
    return rows


def terminal_table(document: dict[str, Any]) -> str:
    """The summary that a user reads first."""
    note = trial(document)
    lines = [f"\n{note}."] if note else []
    for ratio, methods in document["results"].items():
        lines += [f"\n{document['dataset']}, bias ratio {ratio}, {len(document['seeds'])} classifier seeds"]
        lines += [
            f"{'method':<18}{'worst group':>12}{'95 %':>16}{'balanced':>10}{'average':>9}  "
            f" {'worst':<18}group labels for"
        ]
        ranked = sorted(methods.items(), key=lambda item: -item[1]["worst_group_accuracy"]["mean"])
        for name, entry in ranked:
            worst = entry["worst_group_accuracy"]
            figures = f"{worst['mean']:>12.3f}{intervals.shown(worst):>16}"
            figures += f"{entry['balanced_accuracy']['mean']:>10.3f}"
            known = ", ".join(entry["group_labels"]) or "nothing"
            lines.append(
                f"{name:<18}{figures}{entry['average_accuracy']['mean']:>9.3f}  "
                f" {entry['worst_group']['by_mean']:<18}{known}"
            )
        lines += missing(empty_groups(methods))
        lines += intervals.said(document["comparisons"][ratio], methods, trial=bool(note))
        shifted = {name: e["shift"]["worst_group_accuracy"] for name, e in ranked if e["shift"]}
        if shifted:
            listed = ", ".join(f"{name} {figure['mean']:.3f}" for name, figure in shifted.items())
            lines.append(f"worst group on shift, the second test set: {listed}")
    return "\n".join(lines)


def one_run(path: Path) -> dict[str, Any]:
    """The metrics of one classifier.

    Raises:
        FairgenError: the file lacks some of them.
    """
    found = json.loads(path.read_text())
    if lacking := [name for name in (*METRICS, *LOOKED_UP) if name not in found]:
        raise FairgenError(
            f"{path} lacks {', '.join(lacking)}: it was changed by hand; delete it and call snakemake again"
        )
    return found


def compare(settings: WorstGroup, metrics: list[Path]) -> dict[str, Any]:
    """The comparison as it is published, from the metrics of every cell.

    Raises:
        FairgenError: the document does not fit its schema.
    """
    files = iter(metrics)
    results: dict[str, Any] = {}
    for ratio, method in product(settings.ratios, settings.compare):
        runs = [one_run(Path(next(files))) for _ in settings.seeds]
        results.setdefault(str(ratio), {})[method] = summarise(runs)
    document = {
        "schema_version": SCHEMA_VERSION,
        "dataset": settings.dataset,
        "seeds": settings.seeds,
        "config_sha256": settings.config_sha256,
        "config": settings.config,
        "versions": versions(),
        "results": results,
        "comparisons": {ratio: pairs(methods, settings.config) for ratio, methods in results.items()},
    }
    schemas.check(document, schemas.published("worst_group"), "worst_group.json")
    return document
