"""Stage `figures`: the comparison's plots, real beside generated images, and CLIP acceptance."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

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
    sample_sheet.draw_samples(paths.split, paths.selections, settings.groups, paths.samples)
    if paths.selections:
        acceptance.draw_acceptance(paths.selections, settings.groups, paths.acceptance)
    else:
        draw_note("no compared method generates images", paths.acceptance)
    draw_cluster_map(paths, settings.groups)


if __name__ == "__main__":
    pictures = ["bars", "curve", "groups", "samples", "acceptance", "clusters"]
    job.main(work, Figures, reads=["table", "split", "selections*", "map*", "features*"], writes=pictures)
