"""The tables of a study over whole-chain replicates, as Markdown: docs/results.md has those of birds.

    python benchmarks/study.py results/birds/replicates.json

For each bias ratio a line for every method, the best first: worst-group accuracy with its 95 % interval over
replicates, the paired difference to Group-DRO with its own, and the value of each replicate. Below them the
paper's claims, as `fairgen claims` judges them.
"""

import argparse
from pathlib import Path
from typing import Any

from fairgen.core.errors import FairgenError
from fairgen.core.markdown import table
from fairgen.evaluate import results
from fairgen.evaluate.claims import FINETUNED
from fairgen.report.replicated import Table, claims, tables


def methods(found: Table) -> str:
    """The methods of a ratio."""
    head = (
        f"minus `{word.removeprefix('minus ')}`" if word.startswith("minus ") else word for word in found.head
    )
    return table(tuple(head), [(f"`{row[0]}`", *row[1:]) for row in found.rows])


def judged(document: dict[str, Any], path: Path) -> str:
    """The claims, what judges the first one where that is not all of its methods, why others cannot be
    judged, and what has to be known beside them.
    """
    found = claims(document, path)
    rows = (
        (row.claim, row.ratio, f"{row.mean:+.3f} ({row.low:+.3f} – {row.high:+.3f})", row.verdict)
        for row in found.judged
    )
    parts = [table(("claim", "ratio", "difference", "verdict"), rows)] if found.judged else []
    if found.judged and found.finetuned != list(FINETUNED):
        parts.append(f"finetuned: {', '.join(found.finetuned)}")
    if found.why:
        parts.append(f"not judged{' are the others' if found.judged else ''}: {found.why}")
    return "\n\n".join([*parts, *found.notes])


def main() -> None:
    """Print the tables."""
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shown)
    parser.add_argument("file", type=Path, help="replicates.json")
    path = parser.parse_args().file
    try:
        document = results.load(path, "replicates")
    except FairgenError as error:
        raise SystemExit(f"study: {error}") from error
    if document.get("trial"):
        print(document["trial"])
    for one in tables(document):
        print(f"\nbias ratio {one.ratio}\n\n{methods(one)}\n\n{one.verdict}")
    print(f"\n{judged(document, path)}")


if __name__ == "__main__":
    main()
