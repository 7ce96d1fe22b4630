"""Stage `worst_group`: the comparison of all methods over ratios and seeds, as JSON, CSV and a table on the
terminal.

Worst-group accuracy is the minimum over groups for each seed, then the mean over seeds. Intervals are
Student-t over seeds, which vary the classifier only: not the split, not the generators.
`worst_group.schema.json` describes the file, which also holds the config that it belongs to.
"""

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

from fairgen.core import job, lineage, records
from fairgen.evaluate.comparison import WorstGroup, compare, table_rows, terminal_table


@dataclass(frozen=True)
class Files(job.Files):
    """What a job reads and writes."""

    metrics: job.Inputs
    table: job.Output
    csv: job.Output


def work(settings: WorstGroup, files: Files) -> None:
    """Gather all metrics and write the comparison."""
    document = compare(settings, files.metrics)
    rows = table_rows(document["results"])
    with Path(files.csv).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    digest = hashlib.sha256(Path(files.csv).read_bytes()).hexdigest()
    lineage.write_json(files.table, {**document, records.BESIDE: digest})
    print(terminal_table(document))


if __name__ == "__main__":
    job.main(work, WorstGroup, Files)
