"""Stage `figures`: the comparison's plots, real beside generated images, and CLIP acceptance."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np

from fairgen.core import images, job, parquet
from fairgen.evaluate import plots, results
from fairgen.evaluate.plots import save
from fairgen.generate import selection
from fairgen.report import acceptance, cluster_map

COLUMNS, TILE = 10, 64


@dataclass(frozen=True)
class Figures:
    """What is compared, and the groups in the config's order."""

    dataset: str
    ratios: list[float | str]
    compare: list[str]
    seeds: list[int]
    groups: list[str]


def generated(own: selection.Kept) -> tuple[np.ndarray, str]:
    """Kept images of one group, spread over its clusters, and whose generators drew them."""
    by_cluster = defaultdict(list)
    for row, cluster in zip(own.rows, own.column("cluster"), strict=True):
        by_cluster[cluster].append(row)
    each = -(-COLUMNS // max(1, len(by_cluster)))
    chosen = [i for cluster in sorted(by_cluster) for i in by_cluster[cluster][:each]][:COLUMNS]
    return images.load_column(own.file, TILE, chosen), parquet.facts(own.file)["borrowed_from"]


def draw_samples(split: Path, selections: list[Path], groups: list[str], path: Path) -> None:
    """A sheet per group: real training images, then each generator's kept images, its clusters side by side."""
    rows, root = [r for r in parquet.rows(split) if r["split"] == "train"], Path(parquet.facts(split)["root"])
    drawn, lines = {file: selection.read(file) for file in selections}, []
    for group in groups:
        files = [r["path"] for r in rows if r["group"] == group][:COLUMNS]
        lines.append(
            (
                f"{group}: real ({sum(r['group'] == group for r in rows)} images)",
                images.strip(images.load(root, files, TILE), COLUMNS),
            )
        )
        for file, kept in drawn.items():
            pixels, donor = generated(kept[group])
            lines.append((f"{file.parent.name}{f' (generators of {donor})' if donor else ''}", images.strip(pixels, COLUMNS)))
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


def draw_cluster_map(paths: SimpleNamespace, groups: list[str]) -> None:
    """The finest clustering that is compared."""
    clustered = [g for g in groups if paths.map and parquet.facts(paths.map[0]).get(g, {}).get("k", 1) > 1]
    if clustered:
        cluster_map.draw_clusters(paths.split, paths.features[0], paths.map[0], clustered, paths.clusters)
    else:
        draw_note("no compared method has clusters inside a group", paths.clusters)


def work(settings: Figures, paths: SimpleNamespace) -> None:
    """Draw all figures."""
    document = results.load(paths.table)
    plots.draw_bars(document, paths.bars)
    plots.draw_curve(document, paths.curve)
    plots.draw_groups(document, settings.groups, paths.groups)
    draw_samples(paths.split, paths.selections, settings.groups, paths.samples)
    if paths.selections:
        acceptance.draw_acceptance(paths.selections, settings.groups, paths.acceptance)
    else:
        draw_note("no compared method generates images", paths.acceptance)
    draw_cluster_map(paths, settings.groups)


if __name__ == "__main__":
    pictures = ["bars", "curve", "groups", "samples", "acceptance", "clusters"]
    job.main(work, Figures, reads=["table", "split", "selections*", "map*", "features*"], writes=pictures)
