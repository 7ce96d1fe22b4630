"""What a failed call of snakemake says last: which jobs failed, why, what to do, and where the trace is, each
reason once.

Snakemake prints a job's whole command when it fails, and more lines after its hook `onerror`. So this listens
to the events of snakemake's logger (its interface for logger plugins) while jobs run, reads each failed job's
own last word from its log file, and prints when the process ends.
"""

import atexit
import logging
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent

MOST = 5  # reasons that are shown: with three lines each they fill a screen
WORD = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ ERROR fairgen: (.*)$", re.M)  # what `job.main` logs of a failure
STATUS = re.compile(r"died with <Signals\.\w+: (\d+)>|non-zero exit status (\d+)")
OUT_OF_MEMORY = (
    "killed by signal 9 before it could say why, mostly for want of memory: lower the stage's batch, run"
    " fewer jobs at once (--cores), or give it more on a cluster (--set-resources {rule}:mem_mb=…)"
)


@dataclass(frozen=True)
class Failed:
    """A job that failed: its rule, first output, log file and shell command."""

    rule: str
    output: str
    log: Path | None
    command: str


class Failures(logging.Handler):
    """The failed jobs of a call by snakemake's job numbers, and the errors that it logged beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[Any, Failed] = {}
        self.said: list[str] = []
        self.began = time.time()

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of an event."""
        event, about = getattr(record, "event", None), vars(record)
        if event == LogEvent.JOB_ERROR:
            self.add(about)
        elif event == LogEvent.GROUP_ERROR:
            for job in about.get("job_error_info", []):
                self.add(job)
        elif event == LogEvent.JOB_FINISHED:  # a second attempt
            self.jobs.pop(about.get("job_id"), None)
        elif record.levelno >= logging.ERROR:
            self.said.append(record.getMessage())

    def add(self, about: dict[str, Any]) -> None:
        """Note a failed job."""
        outputs, logs = (list(about.get(key) or []) for key in ("output", "log"))
        own = Path(logs[0]) if logs else None
        self.jobs[about["jobid"]] = Failed(
            about["rule_name"], next(iter(outputs), ""), own, about.get("shellcmd") or ""
        )

    def tell(self) -> None:
        """Print the failures when the process ends, after all that snakemake prints."""
        if self.jobs:
            atexit.register(print, report(self), file=sys.stderr, flush=True)


def watch() -> Failures:
    """Listen to the snakemake of this process."""
    found = Failures()
    logging.getLogger("snakemake.logging").addHandler(found)
    return found


def status(job: Failed, said: list[str]) -> int:
    """How the job's command ended by what snakemake said: its exit status, negative for a signal; 0 if that
    is not known.
    """
    own = [text for text in said if job.command and job.command.strip() in text]
    found = STATUS.search(own[-1]) if own else None
    if not found:
        return 0
    code = int(found[2] or 0)  # a shell says 128 + n of a command that signal n has ended
    return -int(found[1]) if found[1] else 128 - code if code > 128 else code


def reason(job: Failed, failures: Failures) -> str:
    """Why a job failed: its own last word, or what is known where it had none."""
    if job.log and job.log.is_file() and job.log.stat().st_mtime >= failures.began - 1:
        words = WORD.findall(job.log.read_text(errors="replace"))
        if words:
            return words[-1]
    code = status(job, failures.said)
    if code == -9:
        return OUT_OF_MEMORY.format(rule=job.rule)
    ended = f"signal {-code}" if code < 0 else f"exit status {code}" if code else "no word"
    return f"ended with {ended} and left no reason in its log; what it printed stands above"


def report(failures: Failures) -> str:
    """All failures, jobs of one reason together."""
    reasons: dict[str, list[Failed]] = {}
    for job in failures.jobs.values():
        reasons.setdefault(reason(job, failures), []).append(job)
    count = len(failures.jobs)
    lines = [
        f"\nfairgen: {count} job{'s' if count > 1 else ''} failed; mend this and call snakemake again, what"
        " is done stays."
    ]
    for why, jobs in list(reasons.items())[:MOST]:
        rules, more = (
            ", ".join(dict.fromkeys(job.rule for job in jobs)),
            f" and {len(jobs) - 1} more" if len(jobs) > 1 else "",
        )
        lines += [f"  {rules}: {jobs[0].output}{more}", f"    {why}"]
        lines += [
            f"    trace in {job.log}"
            for job in jobs[:1]
            if job.log and job.log.is_file() and job.log.stat().st_size
        ]
    left = len(reasons) - MOST
    return "\n".join(
        [*lines, *([f"  … and {left} more reasons; the logs are under results/logs"] if left > 0 else [])]
    )
