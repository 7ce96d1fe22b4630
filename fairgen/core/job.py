"""What every stage's command line shares: options, the log file, atomic outputs, one-line errors.

A stage ends with `job.main(work, Settings, Files)`. `work` gets the settings and the files as these two
dataclasses; outputs have temporary names and are moved into place when `work` returns. `files.work` is the
job's locked work folder, for stages that can be interrupted. Inputs of another lineage are refused, and
outputs carry the job's own.
"""

import argparse
import contextlib
import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias, get_type_hints

from fairgen.core import callback, devices, lineage
from fairgen.core.errors import FairgenError
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
log = logging.getLogger("fairgen")
# a log that cannot be written (disk full) must not hide the one line about it
logging.raiseExceptions = False
REMEDIES = {  # what the system says, and what to do
    "CUDA out of memory": "lower the stage's batch, or set diffusion.dtype: bfloat16, diffusion.memory: low"
    " or gradient_checkpointing: true",
    "No space left on device": "free some space and call snakemake again",
    "Read-only file system": "make it writable, or run in a folder that is",
    "Permission denied": "make it accessible, or run in a folder that is",
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
) -> None:
    """Run one stage as a command; exits 1 with one line on the terminal and the trace in the log when it
    fails.

    Args:
        work: the stage, called as `work(settings, files)`.
        settings: the dataclass that `--settings` is read into.
        files: the dataclass of the other options.
        argv: command line, `sys.argv[1:]` by default.
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
    parser.add_argument("--gpu", type=int, default=0, help="GPUs that this job may use (default: none)")
    of = options_of(files)
    for kind, names in of.items():
        for name in names:
            parser.add_argument(f"--{name}", **KINDS[kind])
    options = parser.parse_args(argv)
    # the work folder is locked, then the log is begun: an orphan of a killed call may still be writing
    finals = {name: getattr(options, name) for name in of["output"]}
    given = options.settings
    kept, done = WorkFolder(finals[of["output"][0]], dict(given), options.lineage.get("code", "")), False
    try:
        kept.lock(lambda said: print(f"fairgen {stage}: {said}", file=sys.stderr, flush=True))
        _open_log(options.log)
        use_threads(given.pop("threads", 1))
        devices.ask(options.gpu)
        ready()
        # inputs and code are what the workflow means, or the job ends here
        lineage.begin(options.lineage, stage, kept.about["settings"])
        lineage.check_code()
        callback.begin(finals[of["output"][0]], lineage.current.record())
        lineage.check_inputs({name: listed(getattr(options, name)) for name in (*of["input"], *of["inputs"])})
        # outputs are written under temporary names, and moved when all of them are whole
        new = kept.fresh()
        temporary = {name: new / f"{name}{path.suffix}" for name, path in finals.items()}
        own = {name: getattr(options, name) for names in of.values() for name in names}
        work(read(settings, given, stage), files(**{**own, **temporary, "work": kept}))
        lineage.check_code()
        lineage.check_outputs(list(temporary.values()))
        for name, path in finals.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            place(temporary[name], path)
        done = True
    except Exception as error:  # every failure becomes one line; the trace goes to the log
        _log_failure(error, options.log)
        print(f"fairgen {stage}: {one_line(error, options.log)}", file=sys.stderr)
        sys.exit(1)
    finally:
        callback.end(done)
        kept.close(done)
    log.info("done after %.1f s of processor time", time.process_time())


def warn(text: str) -> None:
    """Tell the user on the terminal, and the log, of something that does not stop the job."""
    log.warning(text)
    print(f"fairgen: warning: {text}", file=sys.stderr, flush=True)


def listed(value: Path | list[Path] | None) -> list[Path]:
    """The files of an option that takes one or several."""
    return value if isinstance(value, list) else [value] if value else []


def one_line(error: Exception, trace: Path | None) -> str:
    """What the terminal says of an error: its message, what to do where that is known, and where the trace
    is.
    """
    text = str(error) if isinstance(error, FairgenError) else f"{type(error).__name__}: {error}"
    remedy = next((f"; {what}" for said, what in REMEDIES.items() if said in text), "")
    return f"{' '.join(text.split())}{remedy}{f' (trace in {trace})' if trace else ''}"


def _log_failure(error: Exception, path: Path | None) -> None:
    """The trace, then the one line, which the call's last lines quote (`failures`)."""
    if not logging.getLogger().handlers:  # it failed before the log was opened
        with contextlib.suppress(OSError):
            _open_log(path)
    log.debug("failed", exc_info=error)
    if logging.getLogger().handlers:
        log.error(one_line(error, None))


def _open_log(path: Path | None) -> None:
    log.setLevel(logging.DEBUG)
    logging.captureWarnings(True)
    warnings.simplefilter("default")
    handler: logging.Handler = logging.NullHandler()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, mode="w")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)


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


def ready() -> None:
    """Log the processor time spent so far: imports and loading, before the work began; the last call
    counts.
    """
    log.info("ready after %.2f s of processor time", time.process_time())
