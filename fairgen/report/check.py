"""Stage `check`: what a run of this data set would do, before anything is trained, as one page.

What there is to look at, images per group at every ratio, groups that will borrow, clusters and the amount of
work: a screen, which `fairgen check` shows. Below it in the file: prompts with their length in tokens, and
the whole audit of the data.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from fairgen.core import job, lineage, parquet, records
from fairgen.report.check_page import Check, page, prompt_lengths


@dataclass(frozen=True)
class Files(job.Files):
    """What a job reads and writes."""

    audit: job.Input
    facts: job.Input
    splits: job.Inputs
    page: job.Output


def work(settings: Check, files: Files) -> None:
    """Write the page, with the ingest's audit below it."""
    prompts, problems = prompt_lengths(settings)
    splits = {
        str(ratio): parquet.facts(path) for ratio, path in zip(settings.ratios, files.splits, strict=True)
    }
    text = page(settings, splits, prompts, problems, json.loads(Path(files.facts).read_text()))
    lineage.write_text(files.page, text + "\n" + records.without(Path(files.audit).read_text()))


if __name__ == "__main__":
    job.main(work, Check, Files)
