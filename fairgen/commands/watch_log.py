"""What a call of snakemake says in its own log: the plan, jobs that began and ended, errors, and its end.

The log is the same for every executor. It grows to megabytes in a long study, so only what was added is read.
"""

import contextlib
import re
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from fairgen.workflow.failures import Failed
from fairgen.workflow.stages import STAGES

CHUNK = 1 << 22  # bytes read at once
STAMP = re.compile(r"\s*\[(\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})\]")
RULE = re.compile(r"\s*(?:local)?(?:rule|checkpoint) (\w+):$")
KEY = re.compile(r"\s+(\w+): (.*)$")
FINISHED = re.compile(r"Finished jobid: (\d+) ")
STEPS = re.compile(r"(\d+) of (\d+) steps \(")
RESTART = re.compile(r"Trying to restart job (\d+)\.")
PLANNED = re.compile(r"(\w+) +(\d+)$")
HEADER = re.compile(r"  (Host|Command): (.*)$")
PROVIDED = re.compile(r"Provided (cores|remote nodes): (\d+)")
RESOURCES = re.compile(r"Provided resources: .*\bgpu=(\d+)")
TROUBLE = re.compile(r"\w*(?:Error|Exception)(?: in .*)?:$")
CANCELLED = "Terminating processes on user request"
COMMAND = "Command '"  # of a job that failed
DRY = "This was a dry-run"  # the last word of a call that has run nothing
DRY_OPTIONS = frozenset(("-n", "--dry-run", "--dryrun"))
SUMMARY = "At least one job did not complete"  # of what has been told before
AT_WORK = ("running", "stopping", "elsewhere")  # how a call stands of which more will come
ENDS = {  # what a line begins with, and how the call has ended then
    "Nothing to be done": "well",
    "Exiting because a job execution failed": "failed",
    CANCELLED: "stopped",
    "Will exit after finishing": "stopped",
    "LockException": "refused",
}


@dataclass
class Job:
    """A job that snakemake has begun or submitted."""

    stage: str
    began: float
    number: int = -1
    output: str = ""
    log: str = ""
    benchmark: str = ""
    wildcards: dict[str, str] = field(default_factory=dict)
    threads: int = 1
    gpus: int = 0
    state: str = "running"  # then done, failed or stopped; "waiting" before another attempt
    ended: float = 0.0


@dataclass
class Call:
    """A call of snakemake, as far as its log goes."""

    host: str = ""
    command: str = ""
    planned: Counter[str] = field(default_factory=Counter)  # jobs of each stage
    total: int = 0
    finished: int = 0
    cores: int = 0
    nodes: int = 0  # jobs at once on a cluster
    gpus: int = 0
    jobs: dict[int, Job] = field(default_factory=dict)
    failed: list[Failed] = field(default_factory=list)
    said: list[str] = field(default_factory=list)  # how commands ended
    trouble: str = ""  # an error that is no job's
    began: float = 0.0
    ending: str = ""  # well, failed, stopped or refused; it may still wait for running jobs
    ended: bool = False  # it has said its last word
    dry: bool = False  # it only says what a run would do

    @property
    def told(self) -> bool:
        """Whether its log says that it is a run, or was to be one: of dry runs and of `fairgen check` a log
        is empty or not there, and that of `--summary` or `--report` names no host.
        """
        return not self.dry and bool(self.total or self.host or self.ended or self.trouble)


def stage_of(rule: str) -> str:
    """The stage of a rule, also if another workflow calls it `fairgen_<stage>`; else its own name."""
    fits = [stage for stage in STAGES if rule == stage or rule.endswith(f"_{stage}")]
    return max(fits, key=len, default=rule)


class Tail:
    """Whole lines that were added to a file since the last look; none while it is not there."""

    def __init__(self, path: Path):
        self.path, self.place, self.rest = path, 0, b""

    def lines(self) -> list[str]:
        """What is new, without a last line that is not complete."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.place)
                added = file.read(CHUNK)
        except OSError:
            return []
        self.place += len(added)
        *whole, self.rest = (self.rest + added).split(b"\n")
        return [line.decode(errors="replace") for line in whole]


class Log:
    """The log of a call, read as it grows."""

    def __init__(self, path: Path):
        self.path, self.call = path, Call()
        self._tail = Tail(path)
        self._stamp = 0.0
        self._part = ""  # table, job, error, shell or trouble: what the next lines belong to
        self._job: Job | None = None
        self._cancelled = False  # jobs that end now have been ended

    def read(self) -> Call:
        """The call by now."""
        while lines := self._tail.lines():
            for line in lines:
                self._take(line)
        return self.call

    def _take(self, line: str) -> None:
        call = self.call
        if found := STAMP.match(line):
            with contextlib.suppress(ValueError, OverflowError):  # no time at all, as in a damaged log
                self._stamp = time.mktime(time.strptime(found[1]))
            call.began, self._part = call.began or self._stamp, ""
        elif self._part == "table":
            self._table(line)
        elif self._part == "shell":
            self._part = "error"
            if call.failed and not self._cancelled:
                call.failed[-1] = replace(call.failed[-1], command=line.strip())
        elif found := RULE.match(line):
            self._part = "error" if self._part == "error" else "job"
            self._job = Job(stage_of(found[1]), self._stamp)
        elif line.startswith("Error in rule ") or line.strip() == "jobs:":
            self._part = "error"
        elif self._part in ("job", "error") and (found := KEY.match(line)):
            self._detail(found[1], found[2])
        elif self._part == "error" and line.strip() == "shell:":
            self._part = "shell"
        else:
            self._other(line)

    def _table(self, line: str) -> None:
        """A row of the plan."""
        if found := PLANNED.match(line):
            if found[1] == "total":
                self.call.total, self._part = int(found[2]), ""
            else:
                self.call.planned[stage_of(found[1])] += int(found[2])

    def _detail(self, key: str, value: str) -> None:
        """A line below a job or an error."""
        if self._part == "error":
            if key == "jobid" and value.isdecimal():
                self._fail(int(value))
        elif self._job is not None:
            job = self._job
            if key == "jobid" and value.isdecimal():
                job.number = int(value)
                self.call.jobs[job.number] = job
            elif key in ("output", "log", "benchmark"):
                setattr(job, key, value.split(", ")[0])
            elif key == "wildcards":
                job.wildcards = dict(part.split("=", 1) for part in value.split(", ") if "=" in part)
            elif key == "threads" and value.isdecimal():
                job.threads = int(value)
            elif key == "resources" and (found := re.search(r"\bgpu=(\d+)", value)):
                job.gpus = int(found[1])

    def _fail(self, number: int) -> None:
        job = self.call.jobs.get(number)
        if job is not None and self._cancelled:
            job.state = "stopped"
        elif job is not None:
            job.state, job.ended = "failed", self._stamp
            log = Path(job.log) if job.log else None
            self.call.failed.append(Failed(job.stage, job.output, log, ""))

    def _other(self, line: str) -> None:
        """A line that stands by itself."""
        call = self.call
        if self._part == "trouble" and line.strip() and not (line.startswith(COMMAND) or TROUBLE.match(line)):
            self._part = ""
            call.trouble = call.trouble if line.startswith(SUMMARY) else line.strip()
        elif found := FINISHED.match(line):
            if job := call.jobs.get(int(found[1])):
                job.state, job.ended = "done", self._stamp
        elif found := STEPS.match(line):
            call.finished, call.total = int(found[1]), int(found[2])
        elif line.startswith("Job stats:"):
            self._part = "table"
        elif found := HEADER.match(line):
            setattr(call, found[1].lower(), found[2])
            call.dry = call.dry or not DRY_OPTIONS.isdisjoint(call.command.split())
        elif found := PROVIDED.match(line):
            setattr(call, found[1].split()[-1], int(found[2]))
        elif found := RESOURCES.match(line):
            call.gpus = int(found[1])
        elif found := RESTART.match(line):
            if job := call.jobs.get(int(found[1])):
                job.state = "waiting"
        elif line.startswith(COMMAND):
            call.said.append(line)
        elif line.startswith("Complete log(s): "):
            call.ended = True
            call.ending = call.ending or ("well" if call.finished >= call.total else "failed")
        else:
            call.ending = next((how for text, how in ENDS.items() if line.startswith(text)), call.ending)
            call.ended = call.ended or call.ending == "refused"
            call.dry = call.dry or line.startswith(DRY)
            self._cancelled = self._cancelled or line.startswith(CANCELLED)
            if TROUBLE.match(line):
                self._part = "trouble"
