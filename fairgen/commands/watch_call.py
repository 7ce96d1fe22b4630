"""Which call of snakemake is looked at, whether its process is there, and what it has still to do."""

import contextlib
import os
import socket
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from fairgen.commands.watch_jobs import Kind, kind_of, kind_of_output, outputs
from fairgen.commands.watch_log import AT_WORK, Call, Log
from fairgen.workflow import project

LOOK = 10.0  # seconds between searches for a process, which cost more than reading files
QUIET = (
    120.0  # seconds without a word after which a call that is not seen, or a job of it, is not said to run
)


@dataclass(frozen=True)
class State:
    """How a call stands: running, stopping, elsewhere, well, failed, stopped, refused, killed or nothing; and
    in words.
    """

    kind: str
    words: str

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.kind not in AT_WORK


def owner(log: Path) -> tuple[psutil.Process | None, bool]:
    """The process on this host that has a call's log open, None if none is seen; and whether it may be there
    unseen: the log is another user's, and processes of others are not shown to us, or not what they do.
    """
    denied = False
    for process in psutil.process_iter():
        words = ""
        try:
            words = " ".join(process.cmdline())
            if ("snakemake" in words or "python" in words) and any(
                file.path == str(log) for file in process.open_files()
            ):
                return process, False
        except (psutil.AccessDenied, PermissionError):
            denied = denied or "snakemake" in words or not words
        except (psutil.Error, OSError):  # it has ended
            continue
    # where a system shows everyone only their own processes, the first of all is missing
    return None, others(log) and (denied or 1 not in psutil.pids())


def others(log: Path) -> bool:
    """Whether a log is another user's."""
    try:
        return log.stat().st_uid != os.geteuid()
    except OSError:
        return True


def there(process: psutil.Process) -> bool:
    """Whether a process still runs: it is no other one by the same number, and no zombie."""
    try:
        return process.is_running() and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.AccessDenied:
        return True
    except psutil.NoSuchProcess:
        return False


def silence(logs: Iterable[Path]) -> float:
    """Seconds since one of them was last written; endless if none is there."""
    written = []
    for log in logs:
        with contextlib.suppress(OSError):
            written.append(log.stat().st_mtime)
    return time.time() - max(written) if written else float("inf")


class Watched:
    """The newest call in a working folder; another one when it begins."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.log: Log | None = None
        self.changed = False  # at the last look, to another call
        self._process: psutil.Process | None = None
        self._hidden = False  # it may be there all the same
        self._searched = 0.0
        self._locked: Counter[Kind] = Counter()
        self._passed: set[str] = set()  # logs of calls that ran nothing
        self._asked = ("", 0.0, False)

    def look(self) -> Call | None:
        """The call by now; None if there has been none."""
        name = self._name()
        self.changed = bool(name) and (self.log is None or self.log.path.name != name)
        if self.changed:
            self.log = Log(self._logs() / name)
            self._process, self._searched, self._locked = None, 0.0, Counter()
        if self.log is None or not name:
            self.log = None
            return None
        call = self.log.read()
        if not self._locked and call.total and not call.ended:
            self._locked = locked(self.folder, call)
        return call

    def _logs(self) -> Path:
        return self.folder.resolve() / ".snakemake/log"

    def _name(self) -> str:
        """The newest log with a plan; one that is still planning if no call before it goes on; "" where only
        calls have been that run nothing, such as dry runs.
        """
        try:
            names = [name for name in os.listdir(self._logs()) if name.endswith(".snakemake.log")]
        except OSError:
            return self.log.path.name if self.log else ""
        planning = told = ""
        for name in sorted(names, reverse=True):
            if name in self._passed:
                told = told or name
                continue
            known = self.log if self.log and self.log.path.name == name else None
            call = known.call if known else Log(self._logs() / name).read()
            if call.dry:
                continue
            if call.total:
                return planning if planning and call.ended and self._plans(planning) else name
            if call.ended:  # it was refused, or had nothing to do
                self._passed.add(name)
            told = told or (name if call.told else "")
            planning = planning or name
        return planning if planning and (planning == told or self._plans(planning)) else told

    def _plans(self, name: str) -> bool:
        """Whether a call without a plan still runs; it may have been `--unlock`, or have found a mistake."""
        if name != self._asked[0] or time.monotonic() - self._asked[1] > LOOK:
            found, hidden = owner(path := self._logs() / name)
            self._asked = name, time.monotonic(), bool(found) or (hidden and silence([path]) < QUIET)
        return self._asked[2]

    def state(self, call: Call) -> State:
        """How it stands, by its log, its process if it runs on this host, and its locks."""
        if call.ended:
            caller = project.caller(self.folder)
            words = {
                "well": "finished" if call.total else "finished: there was nothing to do",
                "failed": f"failed: mend it and call {caller} again, what is done stays",
                "stopped": f"stopped by the user; call {caller} again to go on",
                "refused": "refused: another snakemake holds this folder",
            }
            return State(call.ending, words[call.ending])
        if call.host and call.host != socket.gethostname():
            return self._elsewhere(call, f"on {call.host}, by its log")
        if not self._alive():
            return (
                self._elsewhere(call, "by its log: we may not see its process")
                if self._hidden
                else self._gone(call)
            )
        if call.ending:
            return State("stopping", "stops when the running jobs have ended")
        number = self._process.pid if self._process else ""
        return State("running", f"runs (process {number})" if call.total else "plans its jobs")

    def _elsewhere(self, call: Call, said: str) -> State:
        age = time.time() - self.written(time.time())
        if age > QUIET and not any(job.state == "running" for job in call.jobs.values()):
            return State("killed", f"{said}, silent for {age / 60:.0f} min, with no job running")
        return State("elsewhere", f"runs {said}")

    def _gone(self, call: Call) -> State:
        """Killed; but its jobs may have been left behind, and two of a kind would write the same files."""
        logs = [self.folder / job.log for job in call.jobs.values() if job.state == "running" and job.log]
        age, caller = silence([*logs, self.log.path] if self.log else logs), project.caller(self.folder)
        if age < QUIET:
            remedy = f"wait until its logs are silent, one was written {max(0, age):.0f} s ago"
        elif any((self.folder / ".snakemake/locks").glob("*.lock")):
            remedy = f"call {caller} --unlock, then the same command"
        else:
            remedy = f"call {caller} again"
        return State("killed", f"gone without a last word: {remedy}")

    def written(self, now: float) -> float:
        """When the call's log was last written; `now` if that cannot be known."""
        try:
            return self.log.path.stat().st_mtime if self.log else now
        except OSError:
            return now

    def _alive(self) -> bool:
        now = time.monotonic()
        if self._process is not None:
            if there(self._process):
                return True
            self._process, self._searched = None, 0.0
        if self.log and (not self._searched or now - self._searched > LOOK):
            self._searched = now
            self._process, self._hidden = owner(self.log.path)
        return self._process is not None

    def planned(self, call: Call) -> Counter[Kind]:
        """All jobs of the call by kind, as its lock says; without one, and of rules that are not fairgen's,
        those that have begun, and the others by stage alone.
        """
        known = outputs() if self._locked else {}
        begun = Counter(kind_of(job) for job in call.jobs.values() if job.stage not in (*known, "all"))
        found = self._locked + begun
        for stage, count in call.planned.items():
            if stage == "all":  # it makes nothing
                continue
            found["", stage, ""] += count - sum(n for kind, n in found.items() if kind[1] == stage)
        return +found


def locked(folder: Path, call: Call) -> Counter[Kind]:
    """What the call will make, from its lock; nothing if no lock there fits its plan."""
    for path in (folder / ".snakemake/locks").glob("*.output.lock"):
        try:
            made = set(path.read_text().splitlines())
        except OSError:
            continue
        kinds = Counter(kind for output in made if (kind := kind_of_output(output)))
        counts = {stage: sum(n for kind, n in kinds.items() if kind[1] == stage) for stage in outputs()}
        if counts == {stage: call.planned[stage] for stage in outputs()}:
            return kinds
    return Counter()
