"""Stage `audit_synthetic`: the audits of all synthetic sets of a data set as one file, and one page in
Markdown and HTML.
"""

import json
from dataclasses import dataclass
from typing import Any

from fairgen.core import job, lineage, places, records
from fairgen.core.html import render
from fairgen.core.markdown import clean, table
from fairgen.evaluate import data_card

SCHEMA_VERSION = 3

READING = """\
- **accepted**: share of the drawn images that pass the filter's threshold. Where it differs \
between the groups of one
  method, the generator's own bias shows.
- **kernel distance**: to the real images, by KID's estimator on features of \
`audit.encoder` (mean ± sd over random
  blocks). 0: no difference seen. Not comparable with KID on Inception features.
- **precision**, **recall**: share of generated images near real ones, and of real images near generated ones.
- **density**: in how many neighbourhoods of real images a generated one lies, in parts of what real \
images would; may exceed 1.
- **coverage**: share of real images with a generated one in their neighbourhood; about 0.97 (5 neighbours) \
is all that two equal
  sets reach.
- **transfer**: accuracy of a linear classifier of real images on the group's generated ones, and of one of \
generated images on
  the real ones; in brackets that of one half of the real images on the other. Far below that: the class \
looks otherwise.
- **Vendi score**: effective number of different images, and in brackets that of as many real images.
- **near copies**: share of images that are very similar to a training image, and in brackets \
the share of real training
  images that are as similar to another one. Only a share above that suggests copying.
- **black**, **constant**, **duplicates**: counts among the kept images."""


@dataclass(frozen=True)
class AuditSynthetic:
    """The data set's name."""

    dataset: str


@dataclass(frozen=True)
class Files(job.Files):
    """What a job reads and writes."""

    audits: job.Inputs
    table: job.Output
    page: job.Output
    html: job.Output


def scorers(audits: list[dict[str, Any]]) -> str:
    """The scorer of all sets, or each with the methods that it filters."""
    found: dict[str, dict[str, None]] = {}
    for one in audits:
        found.setdefault(one["scorer"], {})[one["method"]] = None
    return ", ".join(
        f"`{clean(places.scorer(name))}`" + (f" ({', '.join(map(clean, methods))})" if len(found) > 1 else "")
        for name, methods in found.items()
    )


def page(dataset: str, audits: list[dict[str, Any]]) -> str:
    """One table over all sets, how to read it, and what has no figure."""
    lines = [
        [a["method"], a["scope"], *data_card.figures_row(g, f)]
        for a in audits
        for g, f in a["groups"].items()
    ]
    first = audits[0]
    nulls = [line for a in audits for line in data_card.without_figures(a, a["method"], a["scope"])]
    parts = [
        f"# Audit of the synthetic images of {clean(dataset)}",
        f"The images that the filter kept, beside real ones ({first['real']}). Scorer: {scorers(audits)};"
        f" features: `{clean(places.scorer(first['space']))}`; encoder for near copies:"
        f" `{clean(places.scorer(first['encoder']))}`, threshold {first['similarity']}.",
        table(("method", "scope", *data_card.METRICS), lines),
        "## How to read it",
        READING,
        *data_card.opinions(audits),
        *(["## Without figures (–)", "\n".join(nulls)] if nulls else []),
    ]
    return "\n\n".join(parts) + "\n"


def work(settings: AuditSynthetic, files: Files) -> None:
    """Gather the audits."""
    audits = [
        {k: v for k, v in json.loads(path.read_text()).items() if k != records.KEY} for path in files.audits
    ]
    document: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "dataset": settings.dataset, "results": {}}
    for audit in audits:
        document["results"].setdefault(audit["scope"], {})[audit["method"]] = audit
    lineage.write_json(files.table, document)
    text = page(settings.dataset, audits)
    lineage.write_text(files.page, text)
    lineage.write_text(files.html, render(text, f"Synthetic images of {settings.dataset}"))


if __name__ == "__main__":
    job.main(work, AuditSynthetic, Files)
