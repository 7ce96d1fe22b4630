"""Stage `ablation`: a named list of methods compared like those of `worst_group`, with a figure of its own.

The file has the shape of `worst_group.json` with the ablation's name, so that `fairgen compare` reads it too.
"""

from dataclasses import dataclass

from fairgen.core import job, lineage
from fairgen.evaluate import comparison, plots


@dataclass(frozen=True)
class Ablation:
    """Its name, and what it compares."""

    name: str
    table: comparison.WorstGroup


@dataclass(frozen=True)
class Files(job.Files):
    """What a job reads and writes."""

    metrics: job.Inputs
    table: job.Output
    bars: job.Output


def work(settings: Ablation, files: Files) -> None:
    """Gather the metrics of the ablation's methods, and draw them."""
    document = {**comparison.compare(settings.table, files.metrics), "ablation": settings.name}
    lineage.write_json(files.table, document)
    plots.plot_bars(document, files.bars)
    print(f"\nablation {settings.name}{comparison.terminal_table(document)}")


if __name__ == "__main__":
    job.main(work, Ablation, Files)
