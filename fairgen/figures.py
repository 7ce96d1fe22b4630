"""Stage `figures`: the comparison as bars, accuracies by group, real beside generated images, and CLIP acceptance."""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from fairgen import images, job, tables

# Okabe & Ito's colour-blind-safe palette
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
COLUMNS, TILE = 10, 64


@dataclass(frozen=True)
class Figures:
    """What is compared, and the groups in the config's order."""

    dataset: str
    ratios: list[float | str]
    compare: list[str]
    seeds: list[int]
    groups: list[str]


def save(figure: Any, path: Path) -> None:
    """Write a figure as PNG and release it."""
    figure.savefig(path, dpi=130, bbox_inches="tight", format="png", metadata={"Software": None})
    plt.close(figure)


def draw_bars(document: dict[str, Any], path: Path) -> None:
    """Worst-group accuracy of every method at every ratio: mean, 95 % interval, and each seed as a dot."""
    results = document["results"]
    figure, axes = plt.subplots(1, len(results), figsize=(1.2 + 4.4 * len(results), 3.6), squeeze=False, sharey=True)
    for ax, (ratio, methods) in zip(axes[0], results.items(), strict=True):
        for i, entry in enumerate(methods.values()):
            worst = entry["worst_group_accuracy"]
            half = worst["ci95"][1] - worst["mean"] if worst["ci95"] else 0
            ax.bar(i, worst["mean"], color=COLOURS[i % len(COLOURS)], yerr=half, capsize=4)
            dots = len(worst["per_seed"])
            ax.scatter(np.full(dots, i) + np.linspace(-0.15, 0.15, dots), worst["per_seed"], s=12, c="black", zorder=3)
            ax.text(
                i,
                0.02,
                f"{worst['mean']:.2f}",
                ha="center",
                color="white" if worst["mean"] > 0.1 else "black",
                fontsize=8,
            )
        ax.set_xticks(range(len(methods)), list(methods), rotation=35, ha="right")
        ax.set(ylim=(0, 1), title=f"bias ratio {ratio}")
    axes[0][0].set_ylabel("worst-group accuracy (test)")
    save(figure, path)


def draw_groups(document: dict[str, Any], groups: list[str], path: Path) -> None:
    """Test accuracy of every group, at the first ratio."""
    ratio, methods = next(iter(document["results"].items()))
    figure, ax = plt.subplots(figsize=(1.5 + 1.3 * len(methods), 3.6))
    width = 0.8 / len(groups)
    for j, group in enumerate(groups):
        heights = [(m["groups"][group]["accuracy"] or {"mean": 0})["mean"] for m in methods.values()]
        ax.bar(np.arange(len(methods)) + (j - (len(groups) - 1) / 2) * width, heights, width, label=group, color=COLOURS[j])
    ax.set_xticks(range(len(methods)), list(methods), rotation=35, ha="right")
    ax.set(ylim=(0, 1), ylabel="accuracy (test)", title=f"every group, bias ratio {ratio}")
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    save(figure, path)


def strip(pixels: list[np.ndarray]) -> np.ndarray:
    """Images side by side, padded with white to the sheet's width."""
    row = np.full((TILE, TILE * COLUMNS, 3), 255, dtype=np.uint8)
    for i, image in enumerate(pixels[:COLUMNS]):
        row[:, i * TILE : (i + 1) * TILE] = image
    return row


def generated(selection: Path, group: str) -> tuple[list[np.ndarray], str]:
    """Kept images of one group, spread over its clusters, and whose generators drew them."""
    rows = [r for r in tables.rows(selection) if r["group"] == group]
    file = Path(rows[0]["file"])
    by_cluster = defaultdict(list)
    for i, row in enumerate(rows):
        if row["kept"]:
            by_cluster[row["cluster"]].append(i)
    each = -(-COLUMNS // len(by_cluster))
    chosen = [i for cluster in sorted(by_cluster) for i in by_cluster[cluster][:each]][:COLUMNS]
    return list(images.load_column(file, TILE, chosen)), tables.facts(file)["borrowed_from"]


def draw_samples(split: Path, selections: list[Path], groups: list[str], path: Path) -> None:
    """A sheet per group: real training images, then each generator's kept images, its clusters side by side."""
    rows, root = [r for r in tables.rows(split) if r["split"] == "train"], Path(tables.facts(split)["root"])
    lines = []
    for group in groups:
        files = [r["path"] for r in rows if r["group"] == group][:COLUMNS]
        lines.append(
            (
                f"{group}: real ({sum(r['group'] == group for r in rows)} images)",
                strip(list(images.load(root, files, TILE))),
            )
        )
        for selection in selections:
            pixels, donor = generated(selection, group)
            lines.append((f"{selection.parent.name}{f' (generators of {donor})' if donor else ''}", strip(pixels)))
    figure, axes = plt.subplots(len(lines), 1, figsize=(8, 0.95 * len(lines)))
    for ax, (title, row) in zip(np.atleast_1d(axes), lines, strict=True):
        ax.imshow(row)
        ax.set_axis_off()
        ax.set_title(title, fontsize=7, loc="left", pad=2, weight="bold" if ": real" in title else "normal")
    save(figure, path)


def draw_note(text: str, path: Path) -> None:
    """A figure that says why there is nothing to show."""
    figure, ax = plt.subplots(figsize=(4, 1))
    ax.set_axis_off()
    ax.text(0.5, 0.5, text, ha="center", va="center")
    save(figure, path)


def draw_acceptance(selections: list[Path], groups: list[str], path: Path) -> None:
    """Share of each group's samples that pass the filter's threshold, per generator."""
    if not selections:
        return draw_note("no compared method generates images", path)
    shares = np.array([[tables.facts(s)["groups"][g]["accepted"] for g in groups] for s in selections])
    figure, ax = plt.subplots(figsize=(1.8 + 1.3 * len(groups), 1.2 + 0.5 * len(selections)))
    ax.imshow(shares, vmin=0, vmax=1, cmap="cividis", aspect="auto")
    for (i, j), share in np.ndenumerate(shares):
        ax.text(j, i, f"{share:.2f}", ha="center", va="center", color="white" if share < 0.6 else "black")
    ax.set_xticks(range(len(groups)), groups, rotation=25, ha="right")
    ax.set_yticks(range(len(selections)), [s.parent.name for s in selections])
    ax.set_title("share of samples that CLIP accepts")
    save(figure, path)


def work(settings: Figures, paths: SimpleNamespace) -> None:
    """Draw all figures."""
    document = json.loads(Path(paths.table).read_text())
    draw_bars(document, paths.bars)
    draw_groups(document, settings.groups, paths.groups)
    draw_samples(paths.split, paths.selections, settings.groups, paths.samples)
    draw_acceptance(paths.selections, settings.groups, paths.acceptance)


if __name__ == "__main__":
    job.main(work, Figures, reads=["table", "split", "selections*"], writes=["bars", "groups", "samples", "acceptance"])
