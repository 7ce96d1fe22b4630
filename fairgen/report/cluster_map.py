"""Maps of the clusters: the groups' training images in the plane of their first two principal components."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from fairgen.core import images, parquet
from fairgen.evaluate.plots import COLOURS, LEGEND, save

EXAMPLES, TILE = 8, 48


def plane(vectors: np.ndarray) -> np.ndarray:
    """First two principal components (n, 2) of unit vectors (n, d)."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
    centred = unit - unit.mean(0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    flat = centred @ directions[:2].T
    return np.pad(flat, ((0, 0), (0, 2 - flat.shape[1])))


def plot_clusters(split: Path, embeddings: Path, clusters: Path, groups: list[str], path: Path) -> None:
    """For each of some groups its map, coloured by cluster, and examples of every cluster, the largest
    first.
    """
    root = Path(parquet.facts(split)["root"])
    listed = parquet.rows(split, ["id", "path", "hash"])
    files, hashes = {r["id"]: r["path"] for r in listed}, {r["path"]: r["hash"] for r in listed}
    table = parquet.read(embeddings)
    vectors = dict(zip(table["id"].to_pylist(), parquet.matrix(table, "vector"), strict=True))
    facts, rows = parquet.facts(clusters), parquet.rows(clusters)
    figure, axes = plt.subplots(
        len(groups), 2, figsize=(11, 2.7 * len(groups)), squeeze=False, width_ratios=(1, 1.6)
    )
    for (left, right), group in zip(axes, groups, strict=True):
        own = [r for r in rows if r["group"] == group]
        members = [[r["id"] for r in own if r["cluster"] == c] for c in range(facts[group]["k"])]
        points = plane(np.stack([vectors[i] for ids in members for i in ids]))
        plot_map(left, points, [len(ids) for ids in members], title(group, facts[group]))
        sheets = [images.load(root, [files[i] for i in ids[:EXAMPLES]], TILE, hashes) for ids in members]
        right.imshow(np.concatenate([images.strip(pixels, EXAMPLES) for pixels in sheets]))
        right.set_yticks(
            [(c + 0.5) * TILE for c in range(len(members))], [f"cluster {c}" for c in range(len(members))]
        )
        right.set_xticks([])
        right.tick_params(length=0)
        right.spines[:].set_visible(False)
    figure.tight_layout()
    save(figure, path)


def title(group: str, facts: dict[str, Any]) -> str:
    """The group with what is known of its clusters."""
    known = ", ".join(f"{name} {value:.2f}" for name, value in facts["nmi"].items())
    return f"{group}: {sum(facts['sizes'])} images{known and f', NMI with {known}'}"


def plot_map(ax: Any, points: np.ndarray, sizes: list[int], text: str) -> None:
    """One group's points (n, 2), its clusters one after the other with these sizes."""
    start = 0
    for c, size in enumerate(sizes):
        part = points[start : start + size]
        ax.scatter(
            *part.T,
            s=10,
            color=COLOURS[c % len(COLOURS)],
            label=f"cluster {c} ({size})",
            alpha=0.8,
            linewidths=0,
        )
        start += size
    ax.set_title(text, fontsize=9, loc="left")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.legend(fontsize=7, handletextpad=0.2, **LEGEND)
