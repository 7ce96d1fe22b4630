"""Stage `figures`: the comparison's plots, real beside generated images, and CLIP acceptance."""

from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt

from fairgen.core import job, parquet
from fairgen.evaluate import plots, results
from fairgen.evaluate.plots import save
from fairgen.report import acceptance, cluster_map, sample_sheet


@dataclass(frozen=True)
class Figures:
    """What is compared, and the groups in the config's order."""

    dataset: str
    ratios: list[float | str]
    compare: list[str]
    seeds: list[int]
    groups: list[str]


@dataclass(frozen=True)
class Files(job.Files):
    """What a job reads and writes."""

    table: job.Input
    split: job.Input
    selections: job.Inputs
    map: job.Inputs
    features: job.Inputs
    bars: job.Output
    curve: job.Output
    groups: job.Output
    samples: job.Output
    acceptance: job.Output
    clusters: job.Output


def plot_note(text: str, path: Path) -> None:
    """A figure that says why there is nothing to show."""
    figure, ax = plt.subplots(figsize=(4, 1))
    ax.set_axis_off()
    ax.text(0.5, 0.5, text, ha="center", va="center")
    save(figure, path)


def plot_cluster_map(files: Files, groups: list[str]) -> None:
    """The finest clustering that is compared."""
    clustered = [g for g in groups if files.map and parquet.facts(files.map[0]).get(g, {}).get("k", 1) > 1]
    if clustered:
        cluster_map.plot_clusters(files.split, files.features[0], files.map[0], clustered, files.clusters)
    else:
        plot_note("no compared method has clusters inside a group", files.clusters)


def work(settings: Figures, files: Files) -> None:
    """Draw all figures."""
    document = results.load(files.table)
    plots.plot_bars(document, files.bars)
    plots.plot_curve(document, files.curve)
    plots.plot_groups(document, settings.groups, files.groups)
    sample_sheet.plot_samples(files.split, files.selections, settings.groups, files.samples)
    if files.selections:
        acceptance.plot_acceptance(files.selections, settings.groups, files.acceptance)
    else:
        plot_note("no compared method generates images", files.acceptance)
    plot_cluster_map(files, settings.groups)


if __name__ == "__main__":
    job.main(work, Figures, Files)
