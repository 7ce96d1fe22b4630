"""Stage `ablation`: a named list of methods compared like those of `worst_group`, with a figure of its own.

The file has the shape of `worst_group.json` with the ablation's name, so that `fairgen compare` reads it too.
"""

from dataclasses import dataclass
from types import SimpleNamespace

from fairgen.core import job, lineage
from fairgen.evaluate import comparison, plots


@dataclass(frozen=True)
class Ablation:
    """Its name, and what it compares."""

    name: str
    table: comparison.WorstGroup


def work(settings: Ablation, paths: SimpleNamespace) -> None:
    """Gather the metrics of the ablation's methods, and draw them."""
    document = {**comparison.compare(settings.table, paths.metrics), "ablation": settings.name}
    lineage.write_json(paths.table, document)
    plots.draw_bars(document, paths.bars)
    print(f"\nablation {settings.name}{comparison.terminal_table(document)}")


if __name__ == "__main__":
    job.main(work, Ablation, reads=["metrics*"], writes=["table", "bars"])
