"""The tables of a study over whole-chain replicates, as Markdown: docs/results.md has those of birds.

    python benchmarks/study.py results/birds/replicates.json

For each bias ratio a line for every method, the best first: worst-group accuracy with its 95 % interval over
replicates, the paired difference to Group-DRO with its own, and the value of each replicate. Below them the
paper's claims, as `fairgen claims` judges them.
"""

import argparse
from pathlib import Path
from typing import Any

from fairgen.core.markdown import table
from fairgen.evaluate import intervals, results
from fairgen.report.ranking import ranked, spread
from fairgen.report.replicated import claims

REFERENCE = "groupdro"


def lead(found: dict[str, Any] | None) -> str:
    """A paired difference with its interval; a dash for the reference itself."""
    return f"{found['mean']:+.3f} ({intervals.shown(found)})" if found else "–"


def methods(document: dict[str, Any], ratio: str) -> str:
    """The methods of a ratio."""
    minus = document["comparisons"][ratio][f"minus_{REFERENCE}"] or {}
    rows = []
    for method, entry in ranked(document["results"][ratio]):
        worst = entry["worst_group_accuracy"]
        each = (f"{value:.3f}" for value in worst["per_replicate"])
        rows.append((f"`{method}`", spread(worst), lead(minus.get(method)), *each))
    return table(("method", "worst group", f"minus `{REFERENCE}`", *document["replicates"]), rows)


def judged(document: dict[str, Any], path: Path) -> str:
    """The claims, or why none can be judged."""
    found = claims(document, path)
    rows = (
        (row.claim, row.ratio, f"{row.mean:+.3f} ({row.low:+.3f} – {row.high:+.3f})", row.verdict)
        for row in found.judged
    )
    return table(("claim", "ratio", "difference", "verdict"), rows) if found.judged else found.why


def main() -> None:
    """Print the tables."""
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shown)
    parser.add_argument("file", type=Path, help="replicates.json")
    path = parser.parse_args().file
    document = results.load(path, "replicates")
    for ratio, compared in document["results"].items():
        aside = intervals.unranked(document["comparisons"][ratio], compared)
        print(f"\nbias ratio {ratio}{f', {aside}' if aside else ''}\n\n{methods(document, ratio)}")
    print(f"\n{judged(document, path)}")


if __name__ == "__main__":
    main()
