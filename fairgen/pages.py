"""Stage `pages`: the result table and the ingest audit as HTML, for the report.

Pages are written as Markdown and rendered with HTML switched off, so that no label or file name can inject markup.
"""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from markdown_it import MarkdownIt

from fairgen import intervals, job, results
from fairgen.markdown import clean, table

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; margin: 2rem auto; max-width: 68rem; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin-top: 2rem } h3 { font-size: 1rem }
table { border-collapse: collapse; margin: .5rem 0 } th, td { padding: .25rem .75rem; border-bottom: 1px solid #d8dee4 }
th { text-align: left; background: #f3f5f7 } td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
code { background: #f3f5f7; padding: 0 .2rem }
"""


@dataclass(frozen=True)
class Pages:
    """The data set."""

    dataset: str


def spread(figure: dict[str, Any] | None) -> str:
    """Mean ± half of the 95 % interval; a dash for an undefined figure."""
    if figure is None:
        return "–"
    half = f" ± {figure['ci95'][1] - figure['mean']:.3f}" if figure["ci95"] else ""
    return f"{figure['mean']:.3f}{half}"


def result_page(document: dict[str, Any]) -> str:
    """The comparison as Markdown, one table a ratio, the best method first."""
    seeds = len(document["seeds"])
    parts = [
        f"# Result on {clean(document['dataset'])}",
        f"Test rows, {seeds} classifier seeds; mean ± half of the 95 % interval over seeds.",
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
            intervals.verdict(document["comparisons"][ratio]).capitalize() + ".",
        ]
    facts = [("config", document["config_sha256"][:16]), *document["versions"].items()]
    return "\n\n".join([*parts, "## Versions", table(("what", "version"), facts)])


def render(markdown: str, title: str) -> str:
    """One self-contained HTML page; HTML in the source stays text."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    head = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style></head>'
    )
    return f"{head}<body>{body}</body></html>\n"


def work(settings: Pages, paths: SimpleNamespace) -> None:
    """Write both pages."""
    result = result_page(results.load(paths.table))
    Path(paths.result).write_text(render(result, f"Result on {settings.dataset}"))
    Path(paths.audit).write_text(render(Path(paths.markdown).read_text(), f"Audit of {settings.dataset}"))


if __name__ == "__main__":
    job.main(work, Pages, reads=["table", "markdown"], writes=["result", "audit"])
