"""`fairgen claims`: whether the paper's claims hold on one's own data, judged over whole-chain replicates.

The claims of arXiv 2511.08711, read as statements about worst-group accuracy and judged by paired 95 %
intervals over replicates (other splits, generators and classifiers), never over classifier seeds alone:

1. Finetuned generators beat the base by prompt on average: the mean over `--finetuned` minus `vanilla` is
   above 0.
2. Comparable with Group-DRO: `--ours` minus `groupdro` is above −`--margin`.
3. Ahead of Group-DRO as bias grows: that difference is above 0 at the largest ratio, and larger than at
   the least.

A claim is held if its whole interval is above the bound, not held if none of it is, else undecided.
"""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairgen.core.errors import FairgenError
from fairgen.evaluate import intervals, results

Runs = dict[str, dict[str, np.ndarray]]  # ratio → method → worst-group accuracy, replicate by replicate
FINETUNED, OURS, MARGIN = ("lora", "dreambooth", "clustered"), "clustered", 0.05  # of the options
GAIN, LEVEL, AHEAD = "finetuned above vanilla", "comparable with groupdro", "ahead of groupdro"


def arguments(parser: ArgumentParser) -> None:
    """The subcommand's command line."""
    parser.add_argument("replicates", type=Path, help="for example results/birds/replicates.json")
    parser.add_argument(
        "--finetuned",
        nargs="+",
        default=list(FINETUNED),
        metavar="METHOD",
        help="of claim 1 (default: lora dreambooth clustered)",
    )
    parser.add_argument("--ours", default=OURS, metavar="METHOD", help="of claims 2 and 3")
    parser.add_argument(
        "--margin", type=float, default=MARGIN, help="of claim 2, in accuracy (default: 0.05)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table as JSON")


@dataclass(frozen=True)
class Judgement:
    """A claim at a ratio: the mean difference with its interval, what it has to be above, and the verdict."""

    claim: str
    ratio: str
    mean: float
    low: float
    high: float
    bound: float
    verdict: str


def judged(claim: str, ratio: str, difference: np.ndarray, bound: float = 0.0) -> Judgement:
    """Judge paired differences (replicates,) against a bound."""
    low, high = intervals.student(difference.tolist(), (-2.0, 2.0)) or (-2.0, 2.0)
    verdict = "held" if low > bound else "not held" if high <= bound else "undecided"
    return Judgement(claim, ratio, float(difference.mean()), low, high, bound, verdict)


def judge(runs: Runs, finetuned: list[str], ours: str, margin: float) -> list[Judgement]:
    """All claims: at each ratio, and over ratios where there are several; ratios come smallest first."""
    gains = {r: np.mean([m[name] for name in finetuned], axis=0) - m["vanilla"] for r, m in runs.items()}
    leads = {r: m[ours] - m["groupdro"] for r, m in runs.items()}
    first, last = next(iter(runs)), list(runs)[-1]
    found = [judged(f"1. {GAIN}", ratio, gain) for ratio, gain in gains.items()]
    if first != last:
        found.append(judged(f"1. {GAIN}", "mean", np.mean(list(gains.values()), axis=0)))
    found += [judged(f"2. {ours} {LEVEL}", ratio, lead, -margin) for ratio, lead in leads.items()]
    found.append(judged(f"3. {ours} {AHEAD}", last, leads[last]))
    if first != last:
        found.append(judged(f"3. {ours} {AHEAD}, growing", f"{last} − {first}", leads[last] - leads[first]))
    return found


def runs_of(document: dict[str, Any], methods: Iterable[str], path: Path) -> Runs:
    """Worst-group accuracies of some methods at every ratio that is a number, smallest first.

    Raises:
        FairgenError: a method is not in the table, or all ratios are `natural`.
    """
    ratios = sorted((ratio for ratio in document["results"] if ratio != "natural"), key=float)
    if not ratios:
        raise FairgenError(
            f"{path}: it has no bias ratio that is a number, and the claims are about how results change with"
            " it; set ratios in the config"
        )
    found: Runs = {}
    for ratio in ratios:
        there = document["results"][ratio]
        if absent := [name for name in methods if name not in there]:
            raise FairgenError(
                f"{path}: no {', '.join(absent)} among the methods that it compares ({', '.join(there)}); add"
                " to compare in the config, or name others with --finetuned and --ours"
            )
        found[ratio] = {m: np.array(there[m]["worst_group_accuracy"]["per_replicate"]) for m in methods}
    return found


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
