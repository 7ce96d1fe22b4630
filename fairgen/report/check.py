"""Stage `check`: what a run of this data set would do, before anything is trained, as one page.

What there is to look at, images per group at every ratio, groups that will borrow, clusters and the amount of work: a screen,
which `fairgen check` shows. Below it in the file: prompts with their length in tokens, and the whole audit of
the data.
"""

import json
from pathlib import Path
from types import SimpleNamespace

from fairgen.core import job, lineage, parquet
from fairgen.report.check_page import Check, page, prompt_lengths


def work(settings: Check, paths: SimpleNamespace) -> None:
    """Write the page, with the ingest's audit below it."""
    prompts, problems = prompt_lengths(settings)
    splits = {str(ratio): parquet.facts(path) for ratio, path in zip(settings.ratios, paths.splits, strict=True)}
    text = page(settings, splits, prompts, problems, json.loads(Path(paths.facts).read_text()))
    lineage.write_text(paths.page, text + "\n" + lineage.without(Path(paths.audit).read_text()))


if __name__ == "__main__":
    job.main(work, Check, reads=["audit", "facts", "splits*"], writes=["page"])
