"""`fairgen watch`: what the workflow does, while it runs in another terminal.

It reads snakemake's log, the logs of the running jobs and the times of finished ones, and writes nothing.
What it shows is the same on every machine that sees the working folder, whatever runs the jobs.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fairgen.commands.watch_call import Watched
from fairgen.commands.watch_jobs import Kind, Running, Times, kind_of, left, look
from fairgen.commands.watch_log import Call, Job
from fairgen.commands.watch_screen import Row, Snapshot, line, screen, view
from fairgen.core.errors import FairgenError
from fairgen.workflow.failures import Failures, reason, status
from fairgen.workflow.stages import STAGES

NOTHING = "has run nothing here yet (checks and dry runs do not count)"


def arguments(parser: ArgumentParser) -> None:
    """The subcommand's command line."""
    parser.add_argument(
        "what", nargs="*", help="the folder that snakemake was called in (default: this one), and data sets"
    )
    parser.add_argument("--once", action="store_true", help="show it once, as plain text, and end")
    parser.add_argument("--interval", type=_seconds, default=2.0, help="seconds between looks (default: 2)")


def _seconds(text: str) -> float:
    try:
        if 0.1 <= (value := float(text)) <= 3600:
            return value
    except ValueError:
        pass
    raise ArgumentTypeError(f"{text}: give seconds from 0.1 to 3600")


def places(words: list[str]) -> tuple[Path, frozenset[str]]:
    """The working folder and the data sets that the command line names.

    Raises:
        FairgenError: it names two folders, or one that no workflow runs in.
    """
    folders = [Path(word) for word in words if _is_folder(Path(word))]
    if len(folders) > 1:
        raise FairgenError(
            f"{folders[0]} and {folders[1]}: give one working folder; watch the other in a second call"
        )
    folder = folders[0] if folders else Path()
    if not (folder / ".snakemake").is_dir() and not (folder / "config.yaml").is_file():
        raise FairgenError(
            f"{folder.resolve()}: neither a config.yaml nor a .snakemake folder here; name the folder in"
            " which snakemake is called"
        )
    names = [word.removeprefix("results/").strip("/") for word in words if not _is_folder(Path(word))]
    for name in names:
        if "/" in name or name.startswith(".") or not name:
            raise FairgenError(f"{name}: neither a folder that snakemake is called in nor a data set's name")
    return folder, frozenset(names)


def _is_folder(path: Path) -> bool:
    return (path / ".snakemake").is_dir() or (path / "config.yaml").is_file() or path.is_absolute()


class Watch:
    """Snapshots of a working folder, of all its data sets or some."""

    def __init__(self, folder: Path, datasets: frozenset[str] = frozenset()):
        self.folder, self.datasets = folder, datasets
        self.calls = Watched(folder)
        self.times = Times(folder)
        self._reasons: dict[int, str] = {}  # of failed jobs, in the order of the log

    def snapshot(self) -> Snapshot:
        """What there is to see now."""
        now, call = time.time(), self.calls.look()
        if call is None:
            return Snapshot(str(self.folder.resolve()), "nothing", NOTHING)
        if self.calls.changed:
            self.times, self._reasons = Times(self.folder), {}
        state, every, planned = self.calls.state(call), [*call.jobs.values()], self.calls.planned(call)
        # times of all jobs, for they share the machine
        self.times.earlier({kind[0] for kind in planned if kind[0]})
        self.times.take(every)
        at_work = [] if state.over else [self._running(job, now) for job in every if job.state == "running"]
        begun = Counter(kind_of(job) for job in every if job.state != "waiting")
        remaining, unknown = (None, []) if state.over else left(call, planned - begun, at_work, self.times)
        # and what is shown of them
        jobs = [job for job in every if self._wanted(kind_of(job))]
        running = tuple(one for one in at_work if self._wanted(kind_of(one.job)))
        planned = Counter({kind: count for kind, count in planned.items() if self._wanted(kind)})
        # jobs that end with a stopped call have not failed
        stopped = state.kind == "stopped"
        error, trace = self._error(call, [job for job in jobs if not (stopped and self._ended(call, job))])
        until = self.calls.written(now) if state.over else now
        return Snapshot(
            folder=str(self.folder.resolve()),
            kind=state.kind,
            words=state.words,
            command=call.command,
            datasets=tuple(sorted(self.datasets)),
            elapsed=max(0.0, until - call.began) if call.began else None,
            at_once=at_once(call),
            remote=bool(call.nodes),
            done=sum(job.state == "done" for job in jobs),
            total=call.total if not self.datasets else sum(planned.values()),
            left=remaining,
            unknown=tuple(unknown),
            stages=tuple(rows(planned, jobs, running)),
            running=running,
            failed=sum(job.state == "failed" for job in jobs),
            error=error,
            trace=trace,
        )

    def _wanted(self, kind: Kind) -> bool:
        return not self.datasets or kind[0] in self.datasets

    def _running(self, job: Job, now: float) -> Running:
        since, progress = look(self.folder, job)
        typical = self.times.typical(kind_of(job))
        remaining = progress.left if progress else None
        if remaining is None and typical is not None:
            ahead = typical - (now - since if since else 0.0)
            remaining = ahead if ahead > 0 else None  # it takes longer than others: nobody knows how long
        return Running(job, max(0.0, now - since) if since else None, progress, remaining)

    def _ended(self, call: Call, job: Job) -> bool:
        """Whether a job's command was ended by whoever ends processes, rather than by itself."""
        failed = [one for one in call.failed if one.output == job.output]
        return bool(failed) and status(failed[-1], call.said) in (-signal.SIGTERM, -signal.SIGINT)

    def _error(self, call: Call, jobs: list[Job]) -> tuple[str, str]:
        """The last error in its one line, and the log with its trace."""
        wanted = {job.output for job in jobs}
        for number in range(len(call.failed) - 1, -1, -1):
            one = call.failed[number]
            if one.output in wanted:
                if number not in self._reasons:
                    heard = Failures()
                    heard.began, heard.said = call.began, call.said
                    log = self.folder / one.log if one.log else None
                    self._reasons[number] = reason(type(one)(one.rule, one.output, log, one.command), heard)
                trace = one.log if one.log and written(self.folder / one.log) else ""
                return f"{one.rule} {one.output}: {self._reasons[number]}", str(trace)
        return call.trouble, ""


def written(log: Path) -> bool:
    """Whether a job has left anything in its log."""
    try:
        return log.stat().st_size > 0
    except OSError:
        return False


def at_once(call: Call) -> str:
    """What the call may use at once."""
    if call.nodes:
        return f"{call.nodes} jobs at once"
    return f"{call.cores} core{'s' if call.cores > 1 else ''}" if call.cores else ""


def rows(planned: Counter[Kind], jobs: list[Job], running: Sequence[Running]) -> list[Row]:
    """Stages in the DAG's order, then rules of others, with their counts."""
    totals: Counter[str] = Counter()
    for kind, count in planned.items():
        totals[kind[1]] += count
    states = Counter((job.stage, job.state) for job in jobs)
    at_work = Counter((one.job.stage, one.since is not None) for one in running)
    others = sorted(name for name in totals if name not in STAGES)
    return [
        Row(
            name,
            states[name, "done"],
            totals[name],
            at_work[name, True],
            at_work[name, False],
            states[name, "failed"],
        )
        for name in (*(stage for stage in STAGES if totals[stage]), *others)
    ]


def run(options: Namespace) -> None:
    """Show the view until Ctrl-C, or once; without a terminal a line whenever something has changed."""
    watch = Watch(*places(options.what))
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        if options.once:
            _check(watch)
            width = os.get_terminal_size().columns if sys.stdout.isatty() else 0
            print(screen(watch.snapshot(), width or 100))  # some terminals say that they have no columns
        elif sys.stdout.isatty():
            live(watch, options.interval)
        else:
            lines(watch, options.interval)
        sys.stdout.flush()
        return
    with contextlib.suppress(OSError):  # nobody reads it any more: Python would complain when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def live(watch: Watch, interval: float) -> None:
    """Show the view in the whole terminal until Ctrl-C, and leave the last one there as text."""
    from rich.console import Console
    from rich.live import Live

    woken = threading.Event()
    signal.signal(signal.SIGWINCH, lambda *_: woken.set())  # another size is drawn at once
    console = Console(highlight=False)
    shot = watch.snapshot()
    _check(watch)
    try:
        with Live(console=console, screen=True, auto_refresh=False) as shown:
            while True:
                shown.update(view(shot, console.width, console.height), refresh=True)
                if woken.wait(interval):
                    woken.clear()
                shot = watch.snapshot()
    finally:
        console.print(view(shot, console.width, 1000))


def lines(watch: Watch, interval: float) -> None:
    """Print a line whenever counts, the state or the error have changed, until the call is over."""
    said: tuple[object, ...] = ()
    while True:
        shot = watch.snapshot()
        now = (shot.words, shot.done, shot.total, len(shot.running), shot.failed, shot.error)
        if now != said:
            print(time.strftime("%Y-%m-%d %H:%M:%S"), line(shot), flush=True)
            said = now
        if not said[2]:
            _check(watch)
        if shot.over:
            return
        time.sleep(interval)


def _check(watch: Watch) -> None:
    """Refuse a data set that neither the call nor the results know."""
    call = watch.calls.look()
    known = {kind[0] for kind in watch.calls.planned(call) if kind[0]} if call else set()
    for name in sorted(watch.datasets - known):
        if not (watch.folder / "results" / name).is_dir():
            have = ", ".join(sorted(known)) or "none yet"
            raise FairgenError(
                f"{name}: no data set of this call (it has {have}), and nothing lies in results/{name}"
            )
