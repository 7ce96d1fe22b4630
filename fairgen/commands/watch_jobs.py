"""How far running jobs are, by their logs, and how long they take, by benchmark files of finished ones."""

import os
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import mean

from fairgen.commands.watch_log import Call, Job
from fairgen.report.costs import measured, rule_of
from fairgen.workflow import project
from fairgen.workflow.stages import STAGES

ORDER = {stage: place for place, stage in enumerate(STAGES)}
Kind = tuple[str, str, str]  # data set, stage, method ("" for none)
END = 4096  # bytes of a job's log that are read
LATE = 2.0  # seconds by which clocks and file systems may differ
STEP = re.compile(
    r"^\S+ \S+ INFO fairgen: (?P<what>.*): (?P<done>\d+) of (?P<total>\d+) (?P<unit>\w+)"
    r"(?:, (?P<rate>[\d.e+-]+) a second)?\n",
    re.M,
)
# a rule, and its first output below a data set's folder
MAKES = re.compile(r'^rule (\w+):.*?^    output:.*?"results/\{dataset\}/([^"]+)"', re.M | re.S)


@dataclass(frozen=True)
class Progress:
    """What a job says of itself: so many steps or images of so many, and how many a second."""

    what: str
    done: int
    total: int
    unit: str
    rate: float | None

    @property
    def left(self) -> float | None:
        """Seconds to the end of these steps."""
        return (self.total - self.done) / self.rate if self.rate else None


@dataclass(frozen=True)
class Running:
    """A job that snakemake has begun: seconds since it computes (None: it has not said a word yet), its
    progress, and the seconds that it will still take.
    """

    job: Job
    since: float | None
    progress: Progress | None
    left: float | None


def kind_of(job: Job) -> Kind:
    """What jobs of about the same time have in common."""
    about = job.wildcards
    return about.get("dataset", ""), job.stage, about.get("method") or about.get("ablation", "")


def progress_of(text: str) -> Progress | None:
    """The last progress that a log tells."""
    told = [*STEP.finditer(text)]
    if not told:
        return None
    found = told[-1]
    rate = float(found["rate"]) if found["rate"] else None
    return Progress(found["what"], int(found["done"]), int(found["total"]), found["unit"], rate)


def look(folder: Path, job: Job) -> tuple[float | None, Progress | None]:
    """Since when a job computes, and how far it is: in a cluster's queue it has no new log yet."""
    try:
        with (folder / job.log).open("rb") as file:
            state = os.fstat(file.fileno())
            if not job.log or state.st_mtime < job.began - LATE:
                return None, None
            first = file.read(40)
            file.seek(max(0, state.st_size - END))
            text = file.read(END).decode(errors="replace")
    except OSError:
        return None, None
    return begun(first, job.began), progress_of(text)


def begun(first: bytes, announced: float) -> float:
    """When a log begins; when the job was announced if it does not say."""
    try:
        return max(announced, time.mktime(time.strptime(first[:19].decode(), "%Y-%m-%d %H:%M:%S")))
    except ValueError:
        return announced


@cache
def outputs() -> dict[str, str]:
    """The first output of each stage's rule, below a data set's folder: `*` stands where a wildcard does."""
    texts = [path.read_text(encoding="utf-8") for path in (project.folder() / "rules").glob("*.smk")]
    return {stage: re.sub(r"\{\w+\}", "*", place) for text in texts for stage, place in MAKES.findall(text)}


@cache
def places() -> re.Pattern[str]:
    """The paths of `outputs`, each a group with its stage's name."""
    known = "|".join(f"(?P<{stage}>{re.escape(place)})" for stage, place in outputs().items())
    return re.compile(f"results/([^/]+)/(?:{known})".replace(r"\*", "[^/]+"))


def kind_of_output(output: str) -> Kind | None:
    """What makes a file, by its path; None for the further outputs of a rule, and for files of others."""
    found = places().fullmatch(output)
    if not found or not found.lastgroup:
        return None
    parts = output.split("/")[2:]
    return found[1], found.lastgroup, method_in(parts)


def method_in(parts: list[str] | tuple[str, ...]) -> str:
    """The method, or the ablation, that a path below a data set's folder names."""
    return Path(parts[1]).stem if len(parts) > 2 or parts[0] == "ablations" else ""


class Times:
    """Seconds of finished jobs: of this call by kind, and of earlier ones."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.own: dict[Kind, list[float]] = defaultdict(list)
        self.before: dict[Kind, list[float]] = defaultdict(list)
        self._seen: set[int] = set()
        self._read: set[str] = set()

    def earlier(self, datasets: Iterable[str]) -> None:
        """Read the times that lie there when a data set is first seen."""
        for dataset in {*datasets} - self._read:
            self._read.add(dataset)
            place = self.folder / "results/benchmarks" / dataset
            for path in place.rglob("*.tsv"):
                inner = path.relative_to(place)
                if (taken := seconds(path)) is not None:
                    self.before[dataset, rule_of(inner), method_in(inner.parts)].append(taken)

    def take(self, jobs: Iterable[Job]) -> None:
        """Note jobs that have ended since."""
        for job in jobs:
            if job.state == "done" and job.number not in self._seen:
                self._seen.add(job.number)
                taken = seconds(self.folder / job.benchmark) if job.benchmark else None
                self.own[kind_of(job)].append(job.ended - job.began if taken is None else taken)

    def typical(self, kind: Kind) -> float | None:
        """Mean seconds of such jobs: of the same stage and method, else of the stage in this call."""
        if known := self.own.get(kind):
            return mean(known)
        alike = [taken for other, taken in self.own.items() if other[1] == kind[1]]
        if alike:
            return mean(one for taken in alike for one in taken)
        return mean(self.before[kind]) if self.before.get(kind) else None


def seconds(path: Path) -> float | None:
    """The wall-clock seconds in a benchmark file; None if it does not say any."""
    try:
        rows = measured(path)
    except (OSError, ValueError):
        return None
    return rows[-1]["s"] if rows else None


def slots(call: Call, threads: int, gpus: int, running: int) -> int:
    """Jobs of a size that the call runs at once."""
    if call.nodes:  # what a cluster grants shows in what runs
        return max(1, min(call.nodes, running))
    at_once = max(1, call.cores // max(1, threads))
    return max(1, min(at_once, call.gpus // gpus)) if gpus and call.gpus else at_once


def left(call: Call, pending: Counter[Kind], running: list[Running], times: Times) -> tuple[float, list[str]]:
    """Seconds until the end, and the stages that nothing is known of yet: without them it is a lower bound.

    Jobs share the call's cores or GPUs, but no chain through the stages can be faster than one job of each.
    """
    known = {kind: typical for kind in pending if (typical := times.typical(kind)) is not None}
    unknown = {kind[1] for kind in pending if kind not in known} | {
        one.job.stage for one in running if one.left is None
    }
    begun = [(one.job.stage, one.left) for one in running if one.left is not None]
    work = sum(known[kind] * pending[kind] for kind in known) + sum(own for _, own in begun)
    longest: dict[str, float] = defaultdict(float)
    for stage, own in (*((kind[1], typical) for kind, typical in known.items()), *begun):
        longest[stage] = max(longest[stage], own)
    sizes = Counter((job.threads, job.gpus) for job in call.jobs.values()) or Counter([(1, 0)])
    (size, _), *_ = sizes.most_common(1)
    at_once = slots(call, *size, len(running))
    return max(work / at_once, sum(longest.values())), sorted(
        unknown, key=lambda stage: (ORDER.get(stage, len(ORDER)), stage)
    )
