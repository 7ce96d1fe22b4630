"""Stage `pages`: the result table and the ingest audit as HTML, for the report."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fairgen.core import job, lineage
from fairgen.core.html import render
from fairgen.core.markdown import clean, table
from fairgen.evaluate import intervals, results


@dataclass(frozen=True)
class Pages:
    """The data set."""

    dataset: str


def spread(figure: dict[str, Any] | None) -> str:
    """Mean with its 95 % interval; a dash for an undefined figure."""
    return "–" if figure is None else f"{figure['mean']:.3f} ({intervals.shown(figure)})"


def result_page(document: dict[str, Any]) -> str:
    """The comparison as Markdown, one table a ratio, the best method first."""
    seeds = len(document["seeds"])
    parts = [
        f"# Result on {clean(document['dataset'])}",
        f"Test rows, {seeds} classifier seeds; mean and 95 % interval over seeds (n/a for fewer than three).",
    ]
    for ratio, methods in document["results"].items():
        groups = list(next(iter(methods.values()))["groups"])
        head = ("method", "worst group", "worst", "balanced", "average", *groups, "group labels for")
        ranked = sorted(methods.items(), key=lambda item: -item[1]["worst_group_accuracy"]["mean"])
        body = (
            (
                name,
                spread(entry["worst_group_accuracy"]),
                entry["worst_group"]["by_mean"],
                *(spread(entry[key]) for key in ("balanced_accuracy", "average_accuracy")),
                *(spread(entry["groups"][g]["accuracy"]) for g in groups),
                ", ".join(entry["group_labels"]) or "nothing",
            )
            for name, entry in ranked
        )
        parts += [
            f"## Bias ratio {ratio}",
            table(head, body),
            *(f"**{clean(line)}.**" for line in results.missing(results.empty_groups(methods))),
            intervals.verdict(document["comparisons"][ratio]).capitalize() + ".",
        ]
    facts = [("config", document["config_sha256"][:16]), *document["versions"].items()]
    return "\n\n".join([*parts, "## Versions", table(("what", "version"), facts)])


def work(settings: Pages, paths: SimpleNamespace) -> None:
    """Write both pages."""
    result = result_page(results.load(paths.table))
    lineage.write_text(paths.result, render(result, f"Result on {settings.dataset}"))
    audit = lineage.without(Path(paths.markdown).read_text())
    lineage.write_text(paths.audit, render(audit, f"Audit of {settings.dataset}"))


if __name__ == "__main__":
    job.main(work, Pages, reads=["table", "markdown"], writes=["result", "audit"])
