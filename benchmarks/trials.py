"""What the validation rows say of trials: settings are chosen by them, and test rows are not looked at.

After a run whose methods are the trials, in its folder:

    snakemake --cores 2 --configfile examples/birds-trials.yaml -- results/birds-1007/worst_group.json
    python benchmarks/trials.py results/birds-1007/bias-0.95

Each line is a method with the figures of the validation rows by which its weights were selected, mean over
its seeds and the folders: the worst group and the balanced accuracy, or what a method that sees no group
labels goes by. The best of the methods that share the part of their name before the last dash is marked.
Every such family should have as many lines as any other.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from statistics import mean

# the figures of a selection, the first that a run has
FIGURES = (
    ("validation_worst_group", "validation_balanced"),
    ("validation_worst_cluster", "validation_balanced_clusters"),
    ("validation_average",),
)


def validation(folders: list[Path]) -> dict[str, dict[str, list[float]]]:
    """Each method's figures by which its weights were selected, one for each of its runs."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(file for folder in folders for file in folder.glob("*/seed-*/metrics.json")):
        run = json.loads(path.read_text())
        for name in next((names for names in FIGURES if names[0] in run), ()):
            found[path.parent.parent.name][name].append(run[name])
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+", help="results/<dataset>/<scope>")
    options = parser.parse_args()
    runs = validation(options.folders)
    figures = {name: [mean(values) for values in own.values()] for name, own in runs.items()}
    best: dict[str, list[float]] = {}
    for name, found in figures.items():
        family = name.rpartition("-")[0]
        best[family] = max(best.get(family, []), found)
    for name, found in figures.items():
        shown = ", ".join(
            f"{key.removeprefix('validation_').replace('_', ' ')} {value:.3f}"
            for key, value in zip(runs[name], found, strict=True)
        )
        count = len(next(iter(runs[name].values())))
        mark = "   best" if best[name.rpartition("-")[0]] == found else ""
        print(f"{name:<24}{count} runs   {shown}{mark}")


if __name__ == "__main__":
    main()
