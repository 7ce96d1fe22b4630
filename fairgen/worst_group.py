"""Stage `worst_group`: the comparison of all methods over ratios and seeds, as JSON, CSV and a table on the terminal.

Worst-group accuracy is the minimum over groups for each seed, then the mean over seeds. Intervals are Student-t over
seeds, which vary the classifier only: not the split, not the generators.
"""

import csv
import json
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from fairgen import job

SCHEMA_VERSION = 1
FIGURES = ("worst_group_accuracy", "average_accuracy", "balanced_accuracy")
PACKAGES = ("fairgen", "snakemake", "torch", "diffusers", "peft", "transformers", "timm", "scikit-learn", "faiss-cpu", "pyarrow")


@dataclass(frozen=True)
class WorstGroup:
    """What is compared, in the order of the metrics files: ratios, then methods, then seeds."""

    dataset: str
    ratios: list[float | str]
    compare: list[str]
    seeds: list[int]
    config_sha256: str


def student_quantile(p: float, dof: int) -> float:
    """Quantile of Student's t: with t = √ν · tan θ the density is proportional to cos^(ν−1) θ.

    Not scipy's, because transformers and diffusers import an installed scipy into every job (about a second each).
    """
    theta = np.linspace(-np.pi / 2, np.pi / 2, 200_001)
    density = np.cos(theta).clip(0) ** (dof - 1)
    mass = np.concatenate([[0], np.cumsum(density[1:] + density[:-1])])
    return float(np.sqrt(dof) * np.tan(np.interp(p, mass / mass[-1], theta)))


def interval(values: list[float]) -> list[float] | None:
    """Two-sided 95 % Student-t interval of the mean; None for a single value."""
    if len(values) < 2:
        return None
    half = student_quantile(0.975, len(values) - 1) * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return [float(np.mean(values)) - half, float(np.mean(values)) + half]


def over_seeds(values: list[float]) -> dict[str, Any]:
    """Mean, standard deviation (n - 1), interval and the values themselves."""
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "sd": sd, "ci95": interval(values), "per_seed": values}


def summarise(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """One method's entry from its metrics, one per seed."""
    entry: dict[str, Any] = {name: over_seeds([run[name] for run in runs]) for name in FIGURES}
    groups = {}
    for name, first in runs[0]["groups"].items():
        groups[name] = {"n": first["n"], "accuracy": None}
        if first["n"]:
            groups[name]["accuracy"] = over_seeds([run["groups"][name]["accuracy"] for run in runs])
    entry["worst_group"] = {"per_seed": [run["worst_group"] for run in runs]}
    present = {name: g["accuracy"]["mean"] for name, g in groups.items() if g["n"]}
    entry["worst_group"]["by_mean"] = min(present, key=present.get)
    return entry | {"groups": groups, "empty_groups": runs[0]["empty_groups"]}


def pairs(results: dict[str, Any]) -> dict[str, Any]:
    """The leader by mean worst-group accuracy, its paired differences, and whether it wins against every other."""
    means = {name: r["worst_group_accuracy"]["mean"] for name, r in results.items()}
    leader = max(means, key=means.get)
    best = results[leader]["worst_group_accuracy"]["per_seed"]
    differences = {
        name: over_seeds([a - b for a, b in zip(best, r["worst_group_accuracy"]["per_seed"], strict=True)])
        for name, r in results.items()
        if name != leader
    }
    wins = bool(differences) and all(d["ci95"] is not None and d["ci95"][0] > 0 for d in differences.values())
    return {"leader": leader, "winner": leader if wins else None, "leader_minus": differences}


def versions() -> dict[str, str]:
    """Versions of the packages that a result depends on."""
    found = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def table_rows(results: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per ratio and method, for the CSV."""
    rows = []
    for ratio, methods in results.items():
        for method, entry in methods.items():
            row: dict[str, Any] = {"ratio": ratio, "method": method}
            for name in FIGURES:
                low, high = entry[name]["ci95"] or ("", "")
                row |= {name: entry[name]["mean"], f"{name}_sd": entry[name]["sd"]}
                row |= {f"{name}_low": low, f"{name}_high": high}
            row["worst_group"] = entry["worst_group"]["by_mean"]
            for group, figures in entry["groups"].items():
                row[f"{group}_n"] = figures["n"]
                row[f"{group}_accuracy"] = figures["accuracy"]["mean"] if figures["n"] else ""
            rows.append(row)
    return rows


def terminal_table(results: dict[str, Any], comparisons: dict[str, Any], seeds: int) -> str:
    """The summary that a user reads first."""
    lines = []
    for ratio, methods in results.items():
        lines += [f"\nbias ratio {ratio}, {seeds} classifier seeds"]
        lines += [f"{'method':<18}{'worst group':>12}{'± 95 %':>9}{'balanced':>10}{'average':>9}   worst"]
        ranked = sorted(methods.items(), key=lambda item: -item[1]["worst_group_accuracy"]["mean"])
        for name, entry in ranked:
            worst = entry["worst_group_accuracy"]
            half = f"{worst['ci95'][1] - worst['mean']:.3f}" if worst["ci95"] else "n/a"
            figures = f"{worst['mean']:>12.3f}{half:>9}{entry['balanced_accuracy']['mean']:>10.3f}"
            mark = f"   (no test row: {', '.join(entry['empty_groups'])})" if entry["empty_groups"] else ""
            lines.append(
                f"{name:<18}{figures}{entry['average_accuracy']['mean']:>9.3f}   {entry['worst_group']['by_mean']}{mark}"
            )
        found = comparisons[ratio]
        if found["winner"]:
            lines.append(f"{found['winner']} wins: its paired 95 % interval over seeds is above zero against every other method")
        else:
            close = [n for n, d in found["leader_minus"].items() if not d["ci95"] or d["ci95"][0] <= 0]
            lines.append(f"no winner: {found['leader']} leads, but not clearly over {', '.join(close) or 'any other'}")
    return "\n".join(lines)


def work(settings: WorstGroup, paths: SimpleNamespace) -> None:
    """Gather all metrics and write the comparison."""
    files = iter(paths.metrics)
    results: dict[str, Any] = {}
    for ratio, method in product(settings.ratios, settings.compare):
        runs = [json.loads(Path(next(files)).read_text()) for _ in settings.seeds]
        results.setdefault(str(ratio), {})[method] = summarise(runs)
    comparisons = {ratio: pairs(methods) for ratio, methods in results.items()}
    document = {
        "schema_version": SCHEMA_VERSION,
        "dataset": settings.dataset,
        "seeds": settings.seeds,
        "config_sha256": settings.config_sha256,
        "versions": versions(),
        "results": results,
        "comparisons": comparisons,
    }
    Path(paths.table).write_text(json.dumps(document, indent=1) + "\n")
    rows = table_rows(results)
    with Path(paths.csv).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print(terminal_table(results, comparisons, len(settings.seeds)))


if __name__ == "__main__":
    job.main(work, WorstGroup, reads=["metrics*"], writes=["table", "csv"])
