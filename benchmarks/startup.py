"""Processor time and memory of a finished run by rule, and the share that went into starting processes.

    python benchmarks/startup.py birds

Reads the benchmark files that snakemake wrote and the stages' own logs (time until their work began).
"""

import argparse
import csv
import json
import re
from collections import defaultdict
from pathlib import Path

from fairgen.report.costs import rule_of

READY = re.compile(r"ready after ([0-9.]+) s of processor time")
DONE = re.compile(r"done after ([0-9.]+) s of processor time")


def main() -> None:
    """Print the table; `--json FILE` writes it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    totals: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    root = Path("results/benchmarks", options.dataset)
    for path in sorted(root.rglob("*.tsv")):
        row = next(csv.DictReader(path.open(), delimiter="\t"))
        text = (
            Path("results/logs", options.dataset) / path.relative_to(root).with_suffix(".log")
        ).read_text()
        entry = totals[rule_of(path.relative_to(root))]
        entry["jobs"] += 1
        entry["wall"] += float(row["s"])
        entry["memory"] = max(
            entry["memory"], float(row["max_rss"]) if row["max_rss"] not in ("NA", "-") else 0
        )
        entry["start"] += float((READY.findall(text) or [0])[-1])
        entry["cpu"] += float((DONE.findall(text) or [0])[-1])
    print(f"{'rule':<14}{'jobs':>5}{'wall s':>9}{'cpu s':>9}{'start s':>9}{'max MiB':>9}")
    for rule, e in sorted(totals.items(), key=lambda item: -item[1]["wall"]):
        print(
            f"{rule:<14}{e['jobs']:>5.0f}{e['wall']:>9.1f}{e['cpu']:>9.1f}{e['start']:>9.1f}{e['memory']:>9.0f}"
        )
    wall, start, cpu = (sum(e[k] for e in totals.values()) for k in ("wall", "start", "cpu"))
    print(
        f"total {wall:.0f} s of job time, {cpu:.0f} s of processor time, start-up {start:.0f} s ="
        f" {start / cpu:.1%} of it"
    )
    if options.json:
        options.json.write_text(
            json.dumps({"rules": totals, "ratios": {"startup": start / cpu}}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
