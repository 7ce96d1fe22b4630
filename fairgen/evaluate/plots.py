"""Plots of a comparison: worst-group accuracy as bars and over the bias ratio, and the accuracy of every
group.
"""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from fairgen.core import lineage
from fairgen.evaluate.results import MISSING, empty_groups, in_order

# Okabe & Ito's colour-blind-safe palette (2008); the yellow, faint on white, comes last
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#F0E442")
DPI = 130
MARKERS = "osD^vP*X<>"
# beside the axes: it covers no data
LEGEND = {"loc": "upper left", "bbox_to_anchor": (1.01, 1), "frameon": False}


def save(figure: Any, path: Path) -> None:
    """Write a figure as PNG and release it."""
    figure.savefig(
        path, dpi=DPI, bbox_inches="tight", format="png", metadata={"Software": None, **lineage.pictured()}
    )
    plt.close(figure)


def whiskers(figure: dict[str, Any]) -> np.ndarray:
    """(2, 1) lengths of an interval below and above its mean; not a number, so that none is drawn, without an
    interval.
    """
    low, high = figure["ci95"] or (np.nan, np.nan)
    return np.array([[figure["mean"] - low], [high - figure["mean"]]])


def without_rows(methods: dict[str, Any], before: str = "") -> str:
    """What a picture says of groups without rows: nothing where there are none, else a line for each
    split.
    """
    words = {name: what.partition(",")[0] for name, what in MISSING.items()}
    return "".join(
        f"\n{before}{words[name]}: {', '.join(groups)}"
        for name, groups in empty_groups(methods).items()
        if groups
    )


def plot_bars(document: dict[str, Any], path: Path) -> None:
    """Worst-group accuracy of every method at every ratio, two ratios a row: mean, 95 % interval, each seed
    as a dot.
    """
    results = document["results"]
    # a panel for each ratio, two in a row
    columns = min(2, len(results))
    shape, wide = (-(-len(results) // columns), columns), max(3.2, 0.6 * max(map(len, results.values())))
    figure, axes = plt.subplots(
        *shape, figsize=(0.8 + wide * columns, 3.6 * shape[0]), squeeze=False, sharey=True
    )
    for ax in axes.flat[len(results) :]:
        ax.set_axis_off()
    for ax, (ratio, methods) in zip(axes.flat, results.items(), strict=False):
        for i, entry in enumerate(methods.values()):
            worst = entry["worst_group_accuracy"]
            ax.bar(
                i,
                worst["mean"],
                color=COLOURS[i % len(COLOURS)],
                yerr=whiskers(worst),
                ecolor="dimgray",
                capsize=4,
            )
            # each seed is a dot, beside its neighbours
            dots = len(worst["per_seed"])
            places = i + (np.linspace(-0.18, 0.18, dots) if dots > 1 else np.zeros(1))
            ax.scatter(
                places,
                worst["per_seed"],
                s=14,
                c="black",
                edgecolors="white",
                linewidths=0.5,
                zorder=3,
                clip_on=False,
            )
            ax.text(i, 1.04, f"{worst['mean']:.2f}", ha="center", fontsize=9)
        ax.set_xticks(range(len(methods)), list(methods), rotation=35, ha="right", rotation_mode="anchor")
        ax.set(
            ylim=(0, 1.12), yticks=np.linspace(0, 1, 6), title=f"bias ratio {ratio}{without_rows(methods)}"
        )
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes[:, 0]:
        ax.set_ylabel("worst-group accuracy (test)")
    figure.tight_layout()
    save(figure, path)


def log_odds(ratios: list[str]) -> np.ndarray:
    """Places of bias ratios r on an axis, log10 r / (1 − r); `natural`, which has no r, stands on their
    left.
    """
    known = {r: np.log10(float(r) / (1 - float(r))) for r in ratios if r != "natural"}
    return np.array([known.get(r, min(known.values(), default=0) - 0.5) for r in ratios])


def plot_curve(document: dict[str, Any], path: Path) -> None:
    """Worst-group accuracy over the bias ratio, in log-odds so that 0.9 to 0.999 stand apart, with 95 %
    intervals.
    """
    results = document["results"]
    ratios = in_order(results)
    # ratios stand at their log-odds, `natural` on their left
    places, last = log_odds(ratios), results[ratios[-1]]
    first = ratios.index("natural") + 1 if "natural" in ratios else 0
    # natural is not joined to the others
    lines = [part for part in (range(first), range(first, len(ratios))) if part]
    # methods stand a little apart, or their intervals hide each other
    room = min(0.06, 0.4 / len(last)) * min(np.diff(places), default=1)
    figure, ax = plt.subplots(figsize=(3.2 + 1.1 * len(ratios), 3.8))
    # the legend lists the best method first
    for method in sorted(last, key=lambda name: -last[name]["worst_group_accuracy"]["mean"]):
        i = list(last).index(method)
        for line in lines:
            worst = [results[ratios[k]][method]["worst_group_accuracy"] for k in line]
            ax.errorbar(
                places[list(line)] + (i - (len(last) - 1) / 2) * room,
                [w["mean"] for w in worst],
                yerr=np.concatenate([whiskers(w) for w in worst], axis=1),
                color=COLOURS[i % len(COLOURS)],
                marker=MARKERS[i % len(MARKERS)],
                linestyle="-" if i < len(COLOURS) else "--",
                markersize=5,
                linewidth=1.4,
                elinewidth=0.9,
                capsize=2.5,
                label=method if line is lines[-1] else None,
            )
    ax.set_xticks(places, ratios)
    # groups without rows are named below the axis
    marks = "".join(without_rows(results[r], f"{r}: ") for r in ratios)
    ax.set(xlabel=f"bias ratio (log-odds){marks}", ylabel="worst-group accuracy (test)", ylim=(-0.03, 1.03))
    ax.margins(x=0.3 if len(ratios) == 1 else 0.06)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", alpha=0.25)
    ax.legend(**LEGEND)
    save(figure, path)


def plot_groups(document: dict[str, Any], groups: list[str], path: Path) -> None:
    """Test accuracy of every group, at the first ratio."""
    ratio, methods = next(iter(document["results"].items()))
    figure, ax = plt.subplots(figsize=(1.5 + 1.1 * len(methods), 3.6))
    width = 0.8 / len(groups)
    for j, group in enumerate(groups):
        heights = [(m["groups"][group]["accuracy"] or {"mean": 0})["mean"] for m in methods.values()]
        places = np.arange(len(methods)) + (j - (len(groups) - 1) / 2) * width
        empty = "" if any(m["groups"][group]["n"] for m in methods.values()) else " (no test image)"
        ax.bar(places, heights, width, label=f"{group}{empty}", color=COLOURS[j % len(COLOURS)])
    ax.set_xticks(range(len(methods)), list(methods), rotation=35, ha="right", rotation_mode="anchor")
    ax.margins(x=0.02)
    ax.set(ylim=(0, 1.02), ylabel="accuracy (test)", title=f"every group, bias ratio {ratio}")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(**LEGEND)
    save(figure, path)
