"""Generated images beside the training images that they are most similar to, as data and as a picture
sheet.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from fairgen.core import images, parquet
from fairgen.core.evenly import evenly
from fairgen.core.rounding import down
from fairgen.evaluate import plots

TILE = 96  # pixels
LEFT_OUT = 12  # images of a cluster; the page shows no more, and to encode all of them would take longest
NONE = "the filter kept no image"


@dataclass(frozen=True)
class Pair:
    """A generated image (its id, and its row in a file of samples) and its nearest training row by cosine
    similarity.
    """

    group: str
    id: str
    row: int
    file: Path
    real: dict[str, Any]
    similarity: float

    def facts(self) -> dict[str, Any]:
        """What the audit says of it."""
        real = {"real": self.real["path"], "real_group": self.real["group"]}
        return {"group": self.group, "generated": self.id, **real, "similarity": self.similarity}


def write(pairs: list[Pair], path: Path, facts: dict[str, Any]) -> None:
    """Write every image with its closest training row and their similarity; `facts` say by which measure."""
    columns = {
        "id": [pair.id for pair in pairs],
        "group": [pair.group for pair in pairs],
        "real": [pair.real["path"] for pair in pairs],
        "real_hash": [pair.real["hash"] for pair in pairs],
        "real_group": [pair.real["group"] for pair in pairs],
        "similarity": [pair.similarity for pair in pairs],
    }
    parquet.write(path, columns, facts)


def rejected(path: Path) -> dict[str, list[int]]:
    """Of each group some rows that the filter left out: LEFT_OUT of each cluster, evenly over the scores."""
    listed: dict[tuple[str, int], list[tuple[float, int]]] = {}
    seen: Counter[str] = Counter()
    for row in parquet.rows(path, ["group", "cluster", "score", "kept"]):
        if not row["kept"]:
            listed.setdefault((row["group"], row["cluster"]), []).append((-row["score"], seen[row["group"]]))
        seen[row["group"]] += 1
    found: dict[str, list[int]] = {group: [] for group in seen}
    for (group, _), own in listed.items():
        found[group] += [number for _, number in evenly(sorted(own), LEFT_OUT)]
    return {group: sorted(numbers) for group, numbers in found.items()}


def plot(names: list[str], pairs: list[Pair], root: Path, similarity: float, path: Path) -> None:
    """A sheet of two rows per group, generated above real; pairs at or over `similarity` are marked. A group
    without a kept image says so.
    """
    groups = [(name, [pair for pair in pairs if pair.group == name]) for name in names]
    columns = max(1, *(len(own) for _, own in groups))
    figure = plt.figure(figsize=(0.9 * columns + 1.1, 2.3 * len(groups)))
    parts: Any = figure.subfigures(len(groups), 1)
    for part, (name, own) in zip(np.atleast_1d(parts), groups, strict=True):
        axes = part.subplots(2, columns, squeeze=False)
        part.subplots_adjust(left=0.14, right=0.99, top=0.82, bottom=0.02, wspace=0.06, hspace=0.06)
        part.suptitle(name, fontsize=9, weight="bold", x=0.14, y=0.97, ha="left")
        for ax in axes.flat:
            ax.set_axis_off()
        if not own:
            part.text(0.14, 0.5, NONE, fontsize=8, va="center")
            continue
        for row, word in enumerate(("generated", "nearest\nreal")):
            part.text(0.12, 0.62 - 0.4 * row, word, fontsize=8, ha="right", va="center")
        hashes = {pair.real["path"]: pair.real["hash"] for pair in own}
        real = images.load(root, [pair.real["path"] for pair in own], TILE, hashes)
        for i, (pair, nearest) in enumerate(zip(own, real, strict=True)):
            flagged = pair.similarity >= similarity
            axes[0, i].imshow(images.load_column(pair.file, TILE, [pair.row])[0])
            axes[1, i].imshow(nearest)
            text = f"{down(pair.similarity, 3)}{' ●' if flagged else ''}"
            axes[0, i].set_title(text, fontsize=7, pad=3, color=plots.COLOURS[5] if flagged else "black")
    plots.save(figure, path)
