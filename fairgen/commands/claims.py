"""`fairgen claims`: whether the paper's claims hold on one's own data, judged over whole-chain replicates
(`fairgen.evaluate.claims` says which they are).
"""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fairgen.core.errors import FairgenError
from fairgen.evaluate import results
from fairgen.evaluate.claims import FINETUNED, MARGIN, ONE_RATIO, OURS, Judgement, judge, runs_of


def arguments(parser: ArgumentParser) -> None:
    """The subcommand's command line."""
    parser.add_argument("replicates", type=Path, help="for example results/birds/replicates.json")
    parser.add_argument(
        "--finetuned",
        nargs="+",
        default=list(FINETUNED),
        metavar="METHOD",
        help=f"of claim 1 (default: {' '.join(FINETUNED)})",
    )
    parser.add_argument("--ours", default=OURS, metavar="METHOD", help="of claims 2 and 3")
    parser.add_argument(
        "--margin", type=float, default=MARGIN, help=f"of claim 2, in accuracy (default: {MARGIN})"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table as JSON")


def screen(found: list[Judgement]) -> str:
    """The table on the terminal."""
    lines = [f"{'claim':<40}{'ratio':>14}{'difference':>12}{'95 % interval':>20}   verdict"]
    for row in found:
        interval = f"{row.low:+.3f} … {row.high:+.3f}"
        lines.append(f"{row.claim:<40}{row.ratio:>14}{row.mean:>+12.3f}{interval:>20}   {row.verdict}")
    return "\n".join(lines)


def notes(document: dict[str, Any], ratios: Iterable[str]) -> list[str]:
    """What has to be known beside the table: the groups without rows at its ratios, replicates with the same
    test rows, and that there is one ratio only.
    """
    ratios = list(ratios)
    none: dict[str, list[str]] = {split: [] for split in results.MISSING}
    empty = {ratio: none | document.get("empty_groups", {}).get(ratio, {}) for ratio in ratios}
    found = [f"bias ratio {ratio}, {line}" for ratio in ratios for line in results.missing(empty[ratio])]
    alike = [f"{' and '.join(pair)} have the same test rows" for pair in document.get("same_rows", [])]
    return found + alike + ([ONE_RATIO] if len(ratios) == 1 else [])


def run(options: Namespace) -> None:
    """Print the table, and write it where that is asked for.

    Raises:
        FairgenError: the file cannot be judged, or the table cannot be written.
    """
    document = results.load(options.replicates, "replicates")
    methods = dict.fromkeys([*options.finetuned, options.ours, "vanilla", "groupdro"])
    runs = runs_of(document, methods, options.replicates)
    found = judge(runs, options.finetuned, options.ours, options.margin)
    name = " ".join(filter(None, (document["dataset"], document.get("ablation"))))
    count = len(document["replicates"])
    print("\n".join([f"{name}, {count} whole-chain replicates\n", screen(found), *notes(document, runs)]))
    if options.json:
        try:
            options.json.write_text(json.dumps({"claims": [asdict(row) for row in found]}, indent=1) + "\n")
        except OSError as error:
            raise FairgenError(
                f"cannot write {options.json}: {error.strerror}; choose another file with --json"
            ) from error
