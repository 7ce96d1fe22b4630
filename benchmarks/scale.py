"""How snakemake fares with 1,000 and 10,000 jobs, how many of them sharing saves, and what a call costs that
finds nothing to do.

    python benchmarks/scale.py

Plans studies of every method on birds (dry runs, nothing is computed). Without sharing, every ratio and
method would make its own artifacts: the sum of the plans of each method at one ratio alone, times the ratios.
If the current folder holds a finished `results/birds/worst_group.json`, the call that finds nothing to do is
timed there. `--json FILE` writes the figures.
"""

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parent.parent
TARGET = "results/birds/worst_group.json"
PARTS = ("Snakefile", "config.yaml", "rules", "fairgen", "envs", "profiles")


def study(ratios: int, seeds: int, clusters: int) -> dict[str, Any]:
    """Every method at so many ratios and seeds, with so many clusters in each group."""
    methods = list(yaml.safe_load((PROJECT / "config.yaml").read_text())["methods"])
    spread = [round(0.5 + 0.499 * i / (ratios - 1), 4) for i in range(ratios)]
    clustered = {"clustered": {"cluster": {"k": clusters}}}
    return {"ratios": spread, "seeds": list(range(seeds)), "compare": methods, "methods": clustered}


STUDIES = {"about 1,000 jobs": study(4, 5, 4), "about 10,000 jobs": study(20, 12, 8)}


@dataclass
class Taken:
    """Seconds of a call: on the wall, and of the processor."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:.1f} s ({self.cpu:.1f} s of processor time)"


def call(folder: Path, *words: str) -> tuple[Taken, str]:
    """Seconds and output of a snakemake call."""

    def cpu() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    start, before = time.perf_counter(), cpu()
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *words], cwd=folder, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return Taken(time.perf_counter() - start, cpu() - before), done.stdout + done.stderr


def plan(folder: Path, config: dict[str, Any]) -> tuple[Taken, Counter]:
    """Seconds and jobs by rule of a dry run from scratch."""
    (folder / "study.yaml").write_text(yaml.safe_dump(config))
    seconds, text = call(
        folder, "--cores", "1", "--dry-run", "--quiet", "rules", "--configfile", "study.yaml", "--", TARGET
    )
    jobs = Counter({rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", text, re.M)})
    del jobs["total"]
    return seconds, jobs


def sharing(folder: Path, config: dict[str, Any]) -> tuple[Counter, Counter]:
    """Jobs by rule if nothing were shared, and if the methods of a ratio shared but not the ratios."""
    ratios = len(config["ratios"])
    one = {**config, "ratios": config["ratios"][:1]}
    alone, common = Counter(), plan(folder, one)[1]
    for method in config["compare"]:
        alone += plan(folder, {**one, "compare": [method]})[1]
    return Counter({r: n * ratios for r, n in alone.items()}), Counter(
        {r: n * ratios for r, n in common.items()}
    )


def report(folder: Path, name: str, config: dict[str, Any]) -> dict[str, Any]:
    """Print one study; returns its figures."""
    seconds, jobs = plan(folder, config)
    alone, common = sharing(folder, config)
    shape = f"{len(config['ratios'])} ratios, {len(config['seeds'])} seeds, {len(config['compare'])} methods"
    print(
        f"\n{name} ({shape}): planned in {seconds}\n{'rule':<14}{'jobs':>8}{'by ratio':>10}{'unshared':>10}"
    )
    for rule, count in sorted(jobs.items(), key=lambda item: -item[1]):
        print(f"{rule:<14}{count:>8}{common[rule]:>10}{alone[rule]:>10}")
    print(f"{'together':<14}{jobs.total():>8}{common.total():>10}{alone.total():>10}")
    print(
        f"sharing saves {1 - jobs.total() / alone.total():.0%} of the jobs,"
        f" {1 - jobs['adapt'] / alone['adapt']:.0%} of adapt"
    )
    return {
        "jobs": jobs.total(),
        "seconds": seconds.wall,
        "cpu": seconds.cpu,
        "by_ratio": common.total(),
        "unshared": alone.total(),
    }


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    options, figures = parser.parse_args(), {}
    with tempfile.TemporaryDirectory() as place:
        for name in PARTS:
            Path(place, name).symlink_to(PROJECT / name)
        call(Path(place), "--version")  # fills the caches
        figures["start"], figures["parse"] = (
            call(Path(place), "--version")[0],
            call(Path(place), "--list-rules")[0],
        )
        print(
            f"snakemake --version: {figures['start']}; with the rules read (--list-rules): {figures['parse']}"
        )
        if Path(TARGET).exists():
            figures["nothing_to_do"], said = call(Path.cwd(), "--cores", "1", TARGET)
            print(f"call of {TARGET}: {figures['nothing_to_do']}, {said.strip().splitlines()[-1]}")
        figures["studies"] = {name: report(Path(place), name, config) for name, config in STUDIES.items()}
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1, default=asdict) + "\n")


if __name__ == "__main__":
    main()
