"""Stage `pages`: the cover, the result table, the ingest audit and high pictures as HTML, for the report."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairgen.core import job, lineage, records
from fairgen.core.html import Picture, render
from fairgen.core.markdown import clean, table
from fairgen.evaluate import results
from fairgen.report import ranking
from fairgen.report.cover import cover, gaps, trial


@dataclass(frozen=True)
class Pages:
    """The data set."""

    dataset: str


@dataclass(frozen=True)
class Files(job.Files):
    """What a job reads and writes."""

    table: job.Input
    markdown: job.Input
    bars: job.Input
    sheet: job.Input
    map: job.Input
    cover: job.Output
    result: job.Output
    audit: job.Output
    clusters: job.Output
    samples: job.Output


def result_page(document: dict[str, Any]) -> str:
    """The comparison as Markdown, one table a ratio, the best method first."""
    seeds = len(document["seeds"])
    parts = [
        f"# Result on {clean(document['dataset'])}",
        *trial(document),
        f"Test rows, {seeds} classifier seeds; mean and 95 % interval over seeds (n/a for fewer than three).",
    ]
    for ratio, methods in document["results"].items():
        groups = list(next(iter(methods.values()))["groups"])
        head = ("method", "worst group", "worst", "balanced", "average", *groups, "group labels for")
        body = (
            (
                name,
                ranking.spread(entry["worst_group_accuracy"]),
                entry["worst_group"]["by_mean"],
                *map(ranking.spread, ranking.figures(entry)),
                ranking.labels(entry),
            )
            for name, entry in ranking.ranked(methods)
        )
        parts += [
            f"## Bias ratio {ratio}",
            table(head, body),
            *gaps(methods),
            ranking.verdict(document, ratio),
        ]
    facts = [("config", document["config_sha256"][:16]), *document["versions"].items()]
    return "\n\n".join([*parts, "## Versions", table(("what", "version"), facts)])


def work(settings: Pages, files: Files) -> None:
    """Write all pages; a picture that is higher than a window is a page, as the report shows only the middle
    of one.
    """
    document = results.load(files.table)
    front = cover(document, Path(files.bars).read_bytes())
    lineage.write_text(
        files.cover, render(front, f"{settings.dataset}: what was compared, and what came out")
    )
    lineage.write_text(files.result, render(result_page(document), f"Result on {settings.dataset}"))
    audit = records.without(Path(files.markdown).read_text())
    lineage.write_text(files.audit, render(audit, f"Audit of {settings.dataset}"))
    for place, picture, title in (
        (files.clusters, files.map, "Clusters"),
        (files.samples, files.sheet, "Samples"),
    ):
        title = f"{title} of {settings.dataset}"
        lineage.write_text(place, render([Picture(Path(picture).read_bytes(), title)], title))


if __name__ == "__main__":
    job.main(work, Pages, Files)
