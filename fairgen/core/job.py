"""What every stage's command line shares: options, the log file, atomic outputs, one-line errors.

A stage ends with `job.main(work, Settings, Files)`. `work` gets the settings and the files as these two
dataclasses; outputs have temporary names and are moved into place when `work` returns. `files.work` is the
job's locked work folder, for stages that can be interrupted. Inputs of another lineage are refused, and
outputs carry the job's own.

A process may do more than its own job: those of other numbers of one wildcard (`beside`), as far as nobody
else does them or has done them. What it makes for another job lies whole in that job's work folder until the
job comes and takes it, so every artifact still has its own job, log, curves and resume point. That of its own
job waits there too until all are done, since snakemake removes the outputs of a job that is killed.
"""

import argparse
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias, get_type_hints

from fairgen.core import callback, devices, joblog, lineage, records
from fairgen.core.joblog import log, log_failure, one_line, open_log, ready, warn
from fairgen.core.settings import read
from fairgen.core.workfolder import WorkFolder, place

Input: TypeAlias = Annotated[Path, "input"]
Inputs: TypeAlias = Annotated[list[Path], "inputs"]  # any number of files
Value: TypeAlias = Annotated[str, "value"]  # plain text: a wildcard, or a number that is not tracked
Output: TypeAlias = Annotated[Path, "output"]
KINDS: dict[str, dict[str, Any]] = {  # how the command line takes them
    "input": {"type": Path, "required": True},
    "inputs": {"type": Path, "nargs": "*", "default": []},
    "value": {"required": True},
    "output": {"type": Path, "required": True},
}


@dataclass(frozen=True)
class Files:
    """What a job reads and writes: a stage's own dataclass says it, a field an option. The first output names
    the work folder.
    """

    work: WorkFolder


def options_of(files: type[Files]) -> dict[str, list[str]]:
    """The options of a stage's files, by their kind."""
    kinds: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for name, hint in get_type_hints(files, include_extras=True).items():
        if name != "work":
            kinds[hint.__metadata__[0]].append(name)
    return kinds


def main(
    work: Callable[[Any, Any], None],
    settings: type[Any],
    files: type[Files],
    argv: Sequence[str] | None = None,
    beside: str = "",
) -> None:
    """Run one stage as a command; exits 1 with one line on the terminal and the trace in the log when it
    fails.

    Args:
        work: the stage, called as `work(settings, files)`.
        settings: the dataclass that `--settings` is read into.
        files: the dataclass of the other options.
        argv: command line, `sys.argv[1:]` by default.
        beside: an option with a number, by which outputs and log are named. The process then does the jobs
            of the first so many numbers too, if `--together` says so.
    """
    # the command line, from the two dataclasses
    program = sys.modules[work.__module__]
    stage = Path(program.__file__ or work.__module__).stem
    module = program.__spec__.name if program.__spec__ else stage
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=program.__doc__)
    parser.add_argument(
        "--settings", required=True, type=json.loads, help="JSON of this stage's config block"
    )
    parser.add_argument("--log", type=Path, help="file for the full log")
    parser.add_argument(
        "--lineage", type=json.loads, default={}, help="JSON: what the outputs and the inputs belong to"
    )
    about = "files that no job makes, such as a model's weights, as the lineage has seen them"
    parser.add_argument("--watched", type=Path, nargs="*", default=[], help=about)
    parser.add_argument("--gpu", type=int, default=0, help="GPUs that this job may use (default: none)")
    if beside:
        about = f"numbers of --{beside} that this process may work off (default: its own alone)"
        parser.add_argument("--together", type=int, default=1, help=about)
    of = options_of(files)
    for kind, names in of.items():
        for name in names:
            parser.add_argument(f"--{name}", **KINDS[kind])
    job = Job(stage, of, parser.parse_args(argv))
    # the work folder is locked, then the log is begun: an orphan of a killed call may still be writing
    kept, done = job.work_folder(), False
    try:
        kept.lock(lambda said: print(f"fairgen {stage}: {said}", file=sys.stderr, flush=True))
        stamp = job.stamp()
        made = kept.finished(stamp)
        own_log = open_log(job.options.log, made.get("log"))
        use_threads(job.options.settings.get("threads", 1))
        devices.ask(job.options.gpu)
        outputs = made or job.make(work, settings, files, kept)
        if made:
            log.info("another job's process has made it")
        else:
            joblog.done()
        others = job.others(beside) if beside and not made else []
        if others:
            outputs = job.finish(outputs, kept, stamp)
            own_log.addFilter(progress_only)
            _work_off(others, lambda other, folder: other.make(work, settings, files, folder))
        for name, path in job.finals.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            place(outputs[name], path)
        done = True
    except Exception as error:  # every failure becomes one line; the trace goes to the log
        log_failure(error, job.options.log)
        print(f"fairgen {stage}: {one_line(error, job.options.log)}", file=sys.stderr)
        sys.exit(1)
    finally:
        kept.close(done)


@dataclass(frozen=True)
class Job:
    """One job as a command line asks for it: its stage, the options of its files by their kind, and what they
    are.
    """

    stage: str
    of: dict[str, list[str]]
    options: argparse.Namespace

    @property
    def finals(self) -> dict[str, Path]:
        """The places of its outputs."""
        return {name: getattr(self.options, name) for name in self.of["output"]}

    @property
    def inputs(self) -> dict[str, list[Path]]:
        """Its input files, by the option that names them."""
        return {name: listed(getattr(self.options, name)) for name in (*self.of["input"], *self.of["inputs"])}

    def work_folder(self) -> WorkFolder:
        """Its work folder, beside the first output."""
        code = self.options.lineage.get("code", "")
        return WorkFolder(self.finals[self.of["output"][0]], dict(self.options.settings), code)

    def stamp(self) -> dict[str, Any]:
        """What its outputs are made from, as far as that is known without reading it."""
        files = [path for paths in self.inputs.values() for path in paths]
        states = {
            str(path): [path.stat().st_size, path.stat().st_mtime_ns] for path in files if path.is_file()
        }
        known = {name: self.options.lineage.get(name, "") for name in ("hash", "code")}
        values = {name: getattr(self.options, name) for name in self.of["value"]}
        return {"settings": self.options.settings, "files": states, "values": values, **known}

    def make(
        self, work: Callable[[Any, Any], None], settings: type[Any], files: type[Files], kept: WorkFolder
    ) -> dict[str, Path]:
        """Do the work; the outputs have temporary names in the work folder."""
        done = False
        given = {name: value for name, value in self.options.settings.items() if name != "threads"}
        told = {name: value for name, value in self.options.lineage.items() if name != "beside"}
        ready()
        try:
            # inputs and code are what the workflow means, or the job ends here
            lineage.begin(told, self.stage, kept.about["settings"])
            lineage.check_code()
            lineage.check_watched(self.options.watched)
            callback.begin(self.finals[self.of["output"][0]], lineage.current.record())
            lineage.check_inputs(self.inputs)
            # outputs are written under temporary names, and moved when all of them are whole
            new = kept.fresh()
            temporary = {name: new / f"{name}{path.suffix}" for name, path in self.finals.items()}
            own = {name: getattr(self.options, name) for names in self.of.values() for name in names}
            work(read(settings, given, self.stage), files(**{**own, **temporary, "work": kept}))
            lineage.check_code()
            lineage.check_watched(self.options.watched)
            lineage.check_outputs(list(temporary.values()))
            done = True
        finally:
            callback.end(done)
        return temporary

    def finish(self, outputs: dict[str, Path], kept: WorkFolder, stamp: dict[str, Any]) -> dict[str, Path]:
        """Let whole outputs wait for their job, and the log, which snakemake removes before it starts one;
        `stamp` is from before they were made.
        """
        if self.options.log:
            copied = next(iter(outputs.values())).with_name("job.log")
            shutil.copyfile(self.options.log, copied)
            outputs = {**outputs, "log": copied}
        return kept.finish(outputs, stamp)

    def others(self, beside: str) -> "list[Job]":
        """The jobs of the other numbers of an option that this process may do, from the next one on."""
        given, own = self.options, int(getattr(self.options, beside))
        hashes, found = given.lineage.get("beside", {}), []
        for number in (*range(own + 1, given.together), *range(min(own, given.together))):
            named = argparse.Namespace(**vars(given))
            setattr(named, beside, str(number))
            for name, path in self.finals.items():
                setattr(named, name, path.with_name(f"{number}{path.suffix}"))
            named.log = given.log and given.log.with_name(f"{number}{given.log.suffix}")
            named.lineage = {**given.lineage, "hash": hashes[str(number)]} if hashes else given.lineage
            found.append(Job(self.stage, self.of, named))
        return found

    def there(self) -> bool:
        """Whether its outputs are in their places, as this job would make them."""
        wanted = self.options.lineage.get("hash", "")
        recorded = ((records.read(path) or {}).get("hash", "") for path in self.finals.values())
        return all(path.exists() for path in self.finals.values()) and set(recorded) == {wanted}


def _work_off(jobs: Sequence[Job], make: Callable[[Job, WorkFolder], dict[str, Path]]) -> None:
    """Do those of some jobs that nobody does or has done; the first one that fails is left to itself, and so
    are those after it.
    """
    for job in jobs:
        kept = job.work_folder()
        if job.there() or not kept.lock(None):
            continue
        handler: logging.Handler | None = None
        try:
            stamp = job.stamp()
            # its own process may have ended just before the lock
            if not job.there() and not kept.finished(stamp):
                joblog.clock.restart()
                handler = open_log(job.options.log)
                outputs = make(job, kept)
                joblog.done()
                job.finish(outputs, kept, stamp)
        except Exception as error:
            log.debug("failed", exc_info=error)
            warn(f"{next(iter(job.finals.values()))} is left to its own job ({one_line(error, None)})")
            return
        finally:
            kept.close(done=False)
            if handler:
                logging.getLogger().removeHandler(handler)
                handler.close()


def progress_only(record: logging.LogRecord) -> bool:
    """What the log of a job still says while its process does others: how far they are, and warnings."""
    return record.module == "progress" or record.levelno >= logging.WARNING


def listed(value: Path | list[Path] | None) -> list[Path]:
    """The files of an option that takes one or several."""
    return value if isinstance(value, list) else [value] if value else []


def use_threads(count: int) -> None:
    """Fix the number of compute threads; results then do not depend on `--cores`."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
    if "faiss" in sys.modules:
        sys.modules["faiss"].omp_set_num_threads(count)
    if "pyarrow" in sys.modules:
        sys.modules["pyarrow"].set_cpu_count(count)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(count)
