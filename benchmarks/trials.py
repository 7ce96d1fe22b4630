"""What the validation rows say of trials: settings are chosen by them, and test rows are not looked at.

After a run whose methods are the trials, in its folder:

    snakemake --cores 2 --configfile examples/birds-trials.yaml -- results/birds-1007/worst_group.json
    python benchmarks/trials.py results/birds-1007/bias-0.95

Each line is a method with the figures of the validation rows by which its weights were selected, mean over
its seeds and the folders: the worst group and the balanced accuracy, or what a method that sees no group
labels goes by. The best of the methods that share the part of their name before the last dash, and the
figures, is marked, where all of them have the same runs.
Every such family should have as many lines as any other.
"""

import argparse
import json
import math
from collections import defaultdict
from pathlib import Path
from statistics import mean

from fairgen.core.errors import FairgenError

# the figures of a selection, the first that a run has
FIGURES = (
    ("validation_worst_group", "validation_balanced"),
    ("validation_worst_cluster", "validation_balanced_clusters"),
    ("validation_average",),
)


Figures = dict[str, list[float]]  # by their names, one for each run


def validation(folders: list[Path]) -> tuple[dict[str, Figures], dict[str, list[str]]]:
    """Each method's figures by which its weights were selected, and its runs, by folder and seed.

    Raises:
        FairgenError: a folder has none, or a method's runs have not the same.
    """
    found: dict[str, Figures] = defaultdict(lambda: defaultdict(list))
    runs: dict[str, list[str]] = defaultdict(list)
    for folder in folders:
        files = sorted(folder.glob("*/seed-*/metrics.json"))
        if not files:
            raise FairgenError(
                f"{folder} has no <method>/seed-<n>/metrics.json; give results/<dataset>/<scope>"
            )
        for path in files:
            runs[path.parent.parent.name].append(f"{folder} {path.parent.name}")
            for name, value in selected_by(path).items():
                found[path.parent.parent.name][name].append(value)
    for method, own in found.items():
        if len({len(values) for values in own.values()}) > 1 or tuple(own) not in FIGURES:
            raise FairgenError(f"{method}: its runs were selected by other figures than each other")
    return found, runs


def selected_by(path: Path) -> dict[str, float]:
    """The figures by which the weights of a run were selected; none if nothing was.

    Raises:
        FairgenError: the file is no `metrics.json`, or they are no numbers.
    """
    try:
        run = json.loads(path.read_text())
        names = next((names for names in FIGURES if names[0] in run), ())
        figures = {name: float(run[name]) for name in names}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise FairgenError(f"{path} has no figures of validation rows ({error!r}); make it again") from error
    if not all(map(math.isfinite, figures.values())):
        raise FairgenError(f"{path}: a figure of its validation rows is no number; make it again")
    return figures


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+", help="results/<dataset>/<scope>")
    options = parser.parse_args()
    try:
        runs, of_methods = validation(options.folders)
    except FairgenError as error:
        raise SystemExit(f"trials: {error}") from error
    figures = {name: [mean(values) for values in own.values()] for name, own in runs.items()}
    # only what was selected by the same figures is compared
    family = {name: (name.rpartition("-")[0], *own) for name, own in runs.items()}
    best: dict[tuple[str, ...], list[float]] = {}
    same: dict[tuple[str, ...], list[list[str]]] = defaultdict(list)
    for name, found in figures.items():
        best[family[name]] = max(best.get(family[name], []), found)
        same[family[name]].append(of_methods[name])
    for name, found in figures.items():
        shown = ", ".join(
            f"{key.removeprefix('validation_').replace('_', ' ')} {value:.3f}"
            for key, value in zip(runs[name], found, strict=True)
        )
        count = len(next(iter(runs[name].values())))
        mark = "   best" if best[family[name]] == found else ""
        if any(other != of_methods[name] for other in same[family[name]]):
            mark = "   not all of its family have these runs"
        print(f"{name:<24}{count} runs   {shown}{mark}")


if __name__ == "__main__":
    main()
