"""What the filter did with every group's samples: the figure of outcomes per generator and cluster."""

from collections import Counter
from itertools import cycle
from pathlib import Path

import matplotlib.pyplot as plt

from fairgen.core import parquet
from fairgen.evaluate.plots import COLOURS, save

KEPT, OVER = "", "over quota"  # reasons of accepted images; every other one is a rejection
GREY = "#999999"


def outcomes(selection: Path) -> dict[tuple[str, int], Counter[str]]:
    """Images of each (group, cluster) by the reason why they are left out, "" for those that are kept."""
    found: dict[tuple[str, int], Counter[str]] = {}
    for row in parquet.rows(selection, ["group", "cluster", "reason"]):
        found.setdefault((row["group"], row["cluster"]), Counter())[row["reason"]] += 1
    return found


def lines(selections: list[Path]) -> list[tuple[str, dict[str, Counter[str]]]]:
    """Every generator's name, and its clusters' where it has several, with the outcomes in each group that
    has it.
    """
    found = []
    for path in selections:
        counts, name = outcomes(path), path.parent.name
        clusters = sorted({cluster for _, cluster in counts})
        for cluster in clusters:
            label = name if len(clusters) == 1 else f"{name}, cluster {cluster}"
            found.append((label, {group: own for (group, c), own in counts.items() if c == cluster}))
    return found


def plot_acceptance(selections: list[Path], groups: list[str], path: Path) -> None:
    """A panel per group, a bar per generator and cluster: shares kept, over the quota, and below the
    threshold.
    """
    # a colour for each outcome, the kept ones first
    bars = lines(selections)
    rejections = sorted(
        {reason for _, found in bars for own in found.values() for reason in own} - {KEPT, OVER}
    )
    kinds = [(KEPT, "kept", COLOURS[0]), (OVER, "accepted, over the quota", COLOURS[4])]
    kinds += [
        (reason, reason, colour)
        for reason, colour in zip(rejections, cycle((COLOURS[5], COLOURS[3], GREY, COLOURS[1])), strict=False)
    ]
    # a panel for each group, a bar for each selection
    size = (1.6 + 2.3 * len(groups), 1.3 + 0.3 * len(bars))
    figure, axes = plt.subplots(1, len(groups), figsize=size, squeeze=False, sharey=True)
    for ax, group in zip(axes[0], groups, strict=True):
        for y, (_, found) in enumerate(bars):
            if group in found:
                plot_bar(ax, y, found[group], kinds)
        ax.set(xlim=(0, 1), title=group)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_yticks(range(len(bars)), [label for label, _ in bars])
    axes[0, 0].invert_yaxis()
    # one legend below all panels
    patches = [plt.Rectangle((0, 0), 1, 1, color=colour) for _, _, colour in kinds]
    figure.legend(
        patches,
        [name for _, name, _ in kinds],
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        ncols=4,
        frameon=False,
    )
    figure.suptitle("what the filter did with the samples; the number is the share that it accepts")
    figure.tight_layout()
    save(figure, path)


def plot_bar(ax: plt.Axes, y: int, own: Counter[str], kinds: list[tuple[str, str, str]]) -> None:
    """One stacked bar with the share of accepted images on it."""
    total, left = own.total(), 0.0
    for reason, _, colour in kinds:
        ax.barh(y, own[reason] / total, left=left, color=colour, height=0.7)
        left += own[reason] / total
    accepted = (own[KEPT] + own[OVER]) / total
    ax.text(
        0.02,
        y,
        f"{accepted:.2f} of {total}",
        va="center",
        fontsize=8,
        color="white" if own[KEPT] else "black",
    )
