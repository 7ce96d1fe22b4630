"""`fairgen claims`: whether the paper's claims hold on one's own data, judged over whole-chain replicates
(`fairgen.evaluate.claims` says which they are).
"""

import json
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path

from fairgen.evaluate import results
from fairgen.evaluate.claims import FINETUNED, MARGIN, OURS, Judgement, judge, runs_of


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
    """Print the table, and write it where that is asked for."""
    document = results.load(options.replicates, "replicates")
    methods = dict.fromkeys([*options.finetuned, options.ours, "vanilla", "groupdro"])
    runs = runs_of(document, methods, options.replicates)
    found = judge(runs, options.finetuned, options.ours, options.margin)
    print(f"{document['dataset']}, {len(document['replicates'])} whole-chain replicates\n\n{screen(found)}")
    if options.json:
        options.json.write_text(json.dumps({"claims": [asdict(row) for row in found]}, indent=1) + "\n")
