"""Do the paper's claims hold on one's own results? Each with its paired 95 % interval over runs.

    python benchmarks/claims.py results/birds/worst_group.json
    python benchmarks/claims.py results/birds/worst_group.json results/birds-r1/worst_group.json …

The claims of arXiv 2511.08711, read as statements about worst-group accuracy. One file: its classifier seeds
are the runs. Several: each file is one run, the mean of its seeds, so that the interval is over replicates of
the whole chain.

1. Finetuned generators beat vanilla Stable Diffusion on average: the mean over `--finetuned` minus `vanilla`
is above zero.
2. Comparable with Group-DRO: `--ours` minus `groupdro` is above −`--margin`.
3. Ahead of Group-DRO as bias grows: that difference is above zero at the largest ratio, and larger there than
at the smallest.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from fairgen.evaluate import intervals, results

Runs = dict[str, dict[str, np.ndarray]]  # ratio → method → worst-group accuracy, run by run


def runs(documents: list[dict[str, Any]]) -> Runs:
    """Worst-group accuracies of every ratio that is a number, run by run."""

    def values(ratio: str, method: str) -> np.ndarray:
        found = [d["results"][ratio][method]["worst_group_accuracy"] for d in documents]
        return np.array(found[0]["per_seed"] if len(found) == 1 else [f["mean"] for f in found])

    first = documents[0]["results"]
    return {
        r: {m: values(r, m) for m in first[r]}
        for r in sorted((r for r in first if r != "natural"), key=float)
    }


def claim(text: str, difference: np.ndarray, above: float = 0.0) -> dict[str, Any]:
    """One line of the table: the mean, its interval, and whether the interval is above a bound."""
    found = intervals.over_runs(difference.tolist(), "run", (-2.0, 2.0))  # differences of differences too
    return {"claim": text, **found, "held": bool(found["ci95"] and found["ci95"][0] > above)}


def judge(data: Runs, finetuned: list[str], ours: str, margin: float) -> list[dict[str, Any]]:
    """All claims, at each ratio and over ratios."""
    gains = {r: np.mean([m[name] for name in finetuned], axis=0) - m["vanilla"] for r, m in data.items()}
    leads = {r: m[ours] - m["groupdro"] for r, m in data.items()}
    first, last = next(iter(data)), list(data)[-1]
    found = [claim(f"1. finetuned above vanilla, ratio {r}", gain) for r, gain in gains.items()]
    found.append(claim("1. finetuned above vanilla, mean over ratios", np.mean(list(gains.values()), axis=0)))
    found += [
        claim(f"2. {ours} comparable with groupdro, ratio {r}", lead, -margin) for r, lead in leads.items()
    ]
    found.append(claim(f"3. {ours} above groupdro at ratio {last}", leads[last]))
    if first != last:
        found.append(claim(f"3. that lead larger at {last} than at {first}", leads[last] - leads[first]))
    return found


def main() -> None:
    """Print the table; `--json FILE` writes it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", nargs="+", type=Path, metavar="worst_group.json")
    parser.add_argument("--finetuned", nargs="+", default=["lora", "dreambooth", "clustered"])
    parser.add_argument("--ours", default="clustered")
    parser.add_argument("--margin", type=float, default=0.05, help="of claim 2, in accuracy (default: 0.05)")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = judge(
        runs([results.load(path) for path in options.tables]), options.finetuned, options.ours, options.margin
    )
    print(f"{'claim':<52}{'mean':>8}{'95 % interval':>20}   verdict")
    for row in found:
        interval = "{:+.3f} … {:+.3f}".format(*row["ci95"]) if row["ci95"] else "n/a"
        verdict = "held" if row["held"] else "not held"
        print(f"{row['claim']:<52}{row['mean']:>+8.3f}{interval:>20}   {verdict}")
    if options.json:
        options.json.write_text(json.dumps({"claims": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
