"""Kills jobs and snakemake itself at random moments, gives the same command again, and compares with an
undisturbed run.

    python tests/support/interrupt.py --rounds 20 --seed 0
    python tests/support/interrupt.py --rounds 20 --edited
    python tests/support/interrupt.py --rounds 100 --edited --stand-ins

Two folders: one run is left alone (--cores 1), the other is killed (SIGKILL) once a round (--cores 2).
Checked: every artifact has the same bytes in both; no job that was finished runs again; adapt, sample and
pretrain go on from their checkpoints. With --edited a finished run is edited before each round (`edited.py`),
with --stand-ins without computing (`stand_in.py`). Prints a line per round.
"""

import argparse
import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Sequence
from glob import glob
from itertools import cycle
from pathlib import Path

from workflows import TINY, Workflow, copy_workflow

from fairgen.workflow.method_chain import merged

TARGETS = [
    "worst_group.json",
    "figures/worst_group.png",
    "pages/result.html",
    "audit_synthetic.json",
    "check.md",
]
COMMAND = ["--cores=2", *(f"results/birds/{name}" for name in TARGETS)]
# What is killed, round by round: snakemake, a job of a stage once it has a checkpoint, or any job. Whatever
# goes on has said so in its log before snakemake is killed again: an orphan that ends is made again, with a
# new log.
VICTIMS = ["snakemake", "adapt", "sample", "pretrain", "any"]
WORK = {"adapt": "adapters/*/.*.work", "sample": "samples/.*.work", "pretrain": "pretrain/.*.work"}
# the tiny run, with steps enough to be caught at work, and without class images, which go on as samples do
LONGER = {"adapt": {"lora": {"steps": 20, "prior_weight": 0}}, "pretrain": {"steps": 20}}
RUN = merged(TINY, {"datasets": {"birds": {"settings": LONGER}}})
LATEST = 20  # seconds until a process of any kind is killed
LIMIT = 600  # seconds after which a call is killed as a whole, with a warning that says what it was at


def artifacts(folder: Path) -> dict[str, bytes]:
    """Everything below results but logs and benchmarks, by path."""
    root = folder / "results"
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {
        name: p.read_bytes()
        for p in files
        if not (name := str(p.relative_to(root))).startswith(("logs/", "benchmarks/"))
    }


def outputs(said: str, finished: bool) -> set[str]:
    """First output of every job that snakemake announces, or of those that it calls finished."""
    started = dict(re.findall(r"^    jobid: (\d+)$.*?^    output: ([^,\n]+)", said, re.M | re.S))
    started |= {
        job: output
        for output, job in re.findall(r"^    output: ([^,\n]+).*?^    jobid: (\d+)$", said, re.M | re.S)
    }
    ended = re.findall(r"^Finished jobid: (\d+) ", said, re.M)
    return {started[job] for job in ended} if finished else set(started.values())


def held(process: int, folder: Path) -> bool:
    """Stop a process if its work folder still has a checkpoint when it stands still; otherwise let it go
    on.
    """
    try:
        os.kill(process, signal.SIGSTOP)
    except ProcessLookupError:
        return False
    if not (found := (folder / "manifest.json").exists()):
        os.kill(process, signal.SIGCONT)
    return found


def jobs_in(folder: Path) -> list[tuple[int, str]]:
    """Process id and stage of every job that runs in a workflow's folder, orphans included."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_text().split("\0")
            if (
                words[1:2] == ["-m"]
                and words[2].startswith("fairgen.")
                and (place / "cwd").resolve() == folder
            ):
                found.append((int(place.name), words[2].rpartition(".")[2]))
        except OSError:  # it has just ended
            continue
    return sorted(found)


class Disturbed:
    """A workflow that is killed again and again."""

    def __init__(self, workflow: Workflow, seed: int):
        self.workflow, self.random = workflow, random.Random(seed)
        self.finished: set[str] = set()
        self.went_on: set[str] = set()
        self.said = workflow.folder / "terminal.txt"

    def start(self, words: Sequence[str] = COMMAND) -> subprocess.Popen:
        """Give the command, with a checkpoint after every step."""
        return self.workflow.start(
            words, self.said, self.workflow.environment() | {"FAIRGEN_CHECKPOINT_SECONDS": "0"}
        )

    def jobs(self) -> list[tuple[int, str]]:
        """Process id and stage of every job that runs in the folder, orphans included."""
        return jobs_in(self.workflow.folder)

    def victim(self, wanted: str, snakemake: int, moment: float) -> tuple[int, str] | None:
        """The process to kill now, if its time has come."""
        if wanted in WORK:
            # unlike a path's, this does not stumble over folders that vanish meanwhile
            for folder in map(Path, glob(str(self.workflow.folder / f"results/birds/*/*/{WORK[wanted]}"))):
                owner = re.match(
                    r"process (\d+)",
                    (folder / "lock").read_text() if (folder / "manifest.json").exists() else "",
                )
                found = [job for job in self.jobs() if owner and job[0] == int(owner[1])]
                if found and held(found[0][0], folder):
                    return found[0]
        elif time.monotonic() > moment and (running := self.jobs()):
            return (snakemake, "snakemake") if wanted == "snakemake" else self.random.choice(running)
        return None

    def call(self, wanted: str | None) -> tuple[int, str]:
        """One call, killed on the way; returns snakemake's exit status and what was killed."""
        killed, begun = "nothing", time.monotonic()
        moment = begun + self.random.uniform(0, LATEST)
        with self.start() as process:
            while process.poll() is None:
                after = f"after {time.monotonic() - begun:.1f} s"
                if wanted and killed == "nothing" and (found := self.victim(wanted, process.pid, moment)):
                    os.kill(found[0], signal.SIGKILL)
                    killed = f"{found[1]} {after}"
                if time.monotonic() > begun + LIMIT:
                    warnings.warn(
                        f"a call did not end {after}, so all was killed:\n{self.state()}", stacklevel=2
                    )
                    for number in (process.pid, *(job for job, _ in self.jobs())):
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(number, signal.SIGKILL)
                    killed = f"snakemake and its jobs {after}"
                    break
                time.sleep(0.005)
        self.check()
        if killed.startswith("snakemake"):
            assert self.workflow.run("--unlock", *COMMAND[1:]).returncode == 0
        return process.returncode, killed

    def state(self) -> str:
        """Every process of fairgen's and snakemake's on the machine, and the end of the terminal."""
        listed = subprocess.run(
            ["ps", "-eo", "pid,ppid,stat,wchan:20,etimes,args"], capture_output=True, text=True
        ).stdout
        ours = [line[:160] for line in listed.splitlines() if "fairgen" in line or "snakemake" in line]
        return "\n".join([*ours, self.said.read_text()[-2000:]])

    def check(self) -> None:
        """Nothing that was finished before the last call has run in it; note what went on from a
        checkpoint.
        """
        said = self.said.read_text()
        again = self.finished & outputs(said, finished=False)
        assert not again, f"finished, and made again: {sorted(again)}\n{said}"
        self.finished |= outputs(said, finished=True)
        for log in (self.workflow.folder / "results/logs").rglob("*.log"):
            if "goes on from" in log.read_text():
                self.went_on.add(
                    next(
                        (stage for stage, place in WORK.items() if place.split("/")[0] in log.parts), log.stem
                    )
                )

    def compare(self, expected: dict[str, bytes]) -> None:
        """All artifacts are those of the undisturbed run, and nothing else lies about."""
        found = artifacts(self.workflow.folder)
        assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
        other = [name for name in expected if found[name] != expected[name]]
        assert not other, f"other bytes than in the undisturbed run: {other}"

    def run(self, rounds: int, expected: dict[str, bytes]) -> None:
        """So many kills; a run that ends before its kill is compared and started over."""
        for number, wanted in zip(range(1, rounds + 1), cycle(VICTIMS), strict=False):
            status, killed = self.call(wanted)
            print(f"round {number}: killed {killed}; {len(self.finished)} jobs are finished", flush=True)
            if status == 0:
                self.compare(expected)
                self.finished.clear()
                for name in ("results", ".snakemake"):
                    shutil.rmtree(self.workflow.folder / name)
        status, killed = self.call(None)
        if killed != "nothing":
            status, _ = self.call(None)
        assert status == 0, self.said.read_text()
        self.compare(expected)
        print(
            f"the same bytes as undisturbed in {len(expected)} files; went on from checkpoints:"
            f" {', '.join(sorted(self.went_on))}"
        )


def undisturbed(folder: Path, warm: bool = False) -> Workflow:
    """A run that is left alone, one job at a time."""
    workflow = copy_workflow(folder)
    workflow.warm = warm
    workflow.edit(RUN)
    done = workflow.run(*COMMAND[1:])
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return workflow


def disturbed(folder: Path, seed: int) -> Disturbed:
    """The same workflow in another folder."""
    workflow = copy_workflow(folder)
    workflow.edit(RUN)
    return Disturbed(workflow, seed)


def main() -> None:
    """Interrupt a run so many times."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--edited", action="store_true", help="edit a finished run before each round")
    parser.add_argument("--stand-ins", action="store_true", help="with --edited: jobs that write at once")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        if options.edited:
            from edited import edited

            for line in edited(Path(place).resolve(), options.seed, options.stand_ins).rounds(options.rounds):
                print(line, flush=True)
            return
        folders = [Path(place).resolve() / name for name in ("undisturbed", "disturbed")]
        for folder in folders:
            folder.mkdir()
        undisturbed(folders[0])
        disturbed(folders[1], options.seed).run(options.rounds, artifacts(folders[0]))


if __name__ == "__main__":
    main()
