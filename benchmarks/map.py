"""When does finetuning pay? The best method at every bias ratio and every distance of the data from the base.

    python benchmarks/map.py results/{birds-near,birds,birds-far}/replicates.json \\
        --names near usual far --output map.png

A cell holds the best method by worst-group accuracy over whole-chain replicates, with its mean and 95 %
interval; below it the methods whose paired interval of the lead holds zero, so that the replicates do not set
them apart. `examples/birds-map.yaml` makes the files.
"""

import argparse
import textwrap
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from fairgen.core import markdown
from fairgen.core.errors import FairgenError
from fairgen.evaluate import results
from fairgen.evaluate.claims import notes
from fairgen.evaluate.plots import COLOURS, save
from fairgen.report.ranking import spread
from fairgen.report.replicated import Cell, cell


def ratios_of(documents: list[dict[str, Any]]) -> list[str]:
    """The ratios that every distance has, `natural` first.

    Raises:
        FairgenError: they have none in common.
    """
    common = set.intersection(*(set(document["results"]) for document in documents))
    if not common:
        raise FairgenError("the files have no bias ratio in common; make them by one config")
    return results.in_order(common)


def text(found: Cell) -> str:
    """A cell's words."""
    low, high = found.figure["ci95"]
    lines = [found.method, f"{found.figure['mean']:.2f}  [{low:.2f}, {high:.2f}]"]
    alone = "no other is ranked" if found.alone else "ahead of all"
    level = f"level: {', '.join(found.level)}" if found.level else alone
    return "\n".join([*lines, *textwrap.wrap(level, 26)])


def plot(documents: list[dict[str, Any]], names: list[str], path: Path) -> None:
    """Draw the map: distances downwards, ratios from left to right."""
    ratios = ratios_of(documents)
    methods = list(dict.fromkeys(m for document in documents for m in document["results"][ratios[0]]))
    cells = [[cell(document, ratio) for ratio in ratios] for document in documents]
    figure, ax = plt.subplots(figsize=(2.1 * len(ratios) + 1, 1.25 * len(names) + 0.8))
    for y, row in enumerate(cells):
        for x, found in enumerate(row):
            colour = COLOURS[methods.index(found.method) % len(COLOURS)]
            ax.add_patch(
                plt.Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, color=colour, alpha=0.28, linewidth=0)
            )
            ax.text(x, y, text(found), ha="center", va="center", fontsize=8)
    ax.set_xticks(range(len(ratios)), ratios)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="bias ratio", ylabel="distance from the base", xlim=(-0.55, len(ratios) - 0.45))
    ax.set_ylim(len(names) - 0.45, -0.55)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    figure.tight_layout()
    try:
        save(figure, path)
    except OSError as error:
        raise FairgenError(f"cannot write {path}: {error.strerror}; choose another --output") from error


def table(documents: list[dict[str, Any]], names: list[str]) -> str:
    """The same with every method, as Markdown: means with their intervals, cut to [0, 1] as in the files."""
    ratios = ratios_of(documents)
    rows = []
    for name, document in zip(names, documents, strict=True):
        for method in document["results"][ratios[0]]:
            figures = (document["results"][r][method]["worst_group_accuracy"] for r in ratios)
            rows.append((name, f"`{method}`", *map(spread, figures)))
    return markdown.table(("distance", "method", *ratios), rows)


def read(files: list[Path], names: list[str]) -> list[dict[str, Any]]:
    """The replicates of each distance.

    Raises:
        FairgenError: a file is none, or of a trial, or the names are not one for each.
    """
    if len(files) != len(names):
        raise FairgenError(f"--names: {len(names)} for {len(files)} files; give one for each, in their order")
    documents = [results.load(path, "replicates") for path in files]
    for path, document in zip(files, documents, strict=True):
        if document.get("trial"):
            raise FairgenError(f"{path}: {document['trial']}")
    return documents


def main() -> None:
    """Draw the map and print its table, and what has to be known beside it."""
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shown)
    parser.add_argument("files", type=Path, nargs="+", help="replicates.json of each distance")
    parser.add_argument("--names", nargs="+", required=True, help="what the distances are called")
    parser.add_argument("--output", type=Path, required=True, help="the PNG")
    options = parser.parse_args()
    try:
        documents = read(options.files, options.names)
        plot(documents, options.names, options.output)
    except FairgenError as error:
        raise SystemExit(f"map: {error}") from error
    print(table(documents, options.names))
    for name, document in zip(options.names, documents, strict=True):
        for line in notes(document, ratios_of(documents)):
            print(f"\n{name}: {line}")


if __name__ == "__main__":
    main()
