"""`fairgen claims`: whether the paper's claims hold on one's own data, judged over whole-chain replicates
(`fairgen.evaluate.claims` says which they are).
"""

import json
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path

from fairgen.core.errors import FairgenError
from fairgen.evaluate import results
from fairgen.evaluate.claims import FINETUNED, MARGIN, OURS, Judgement, beside, judge, runs_of


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


def run(options: Namespace) -> None:
    """Print the table, and write it where that is asked for.

    Raises:
        FairgenError: the file cannot be judged, or the table cannot be written.
    """
    document = results.load(options.replicates, "replicates")
    methods = dict.fromkeys([*options.finetuned, options.ours, "vanilla", "groupdro"])
    runs = runs_of(document, methods, options.replicates)
    resplit = document.get("resplit", 0.0)
    found = judge(runs, options.finetuned, options.ours, options.margin, resplit)
    name = " ".join(filter(None, (document["dataset"], document.get("ablation"))))
    count = len(document["replicates"])
    told = beside(document, runs, found)
    print("\n".join([f"{name}, {count} whole-chain replicates\n", screen(found), *told]))
    if options.json:
        written = {"claims": [asdict(row) for row in found], "notes": told}
        try:
            options.json.write_text(json.dumps(written, indent=1) + "\n")
        except OSError as error:
            raise FairgenError(
                f"cannot write {options.json}: {error.strerror}; choose another file with --json"
            ) from error
