"""What a job says: its log file, warnings, and the one line about its failure."""

import contextlib
import logging
import shutil
import sys
import time
import warnings
from pathlib import Path

from fairgen.core.errors import FairgenError

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


class Clock:
    """Processor time of the job that this process is at; the first one's begins with the process."""

    began = 0.0

    def restart(self) -> None:
        """Another job begins."""
        self.began = time.process_time()

    def spent(self) -> float:
        """Its seconds, imports included."""
        return time.process_time() - self.began


clock = Clock()


def warn(text: str) -> None:
    """Tell the user on the terminal, and the log, of something that does not stop the job."""
    log.warning(text)
    print(f"fairgen: warning: {text}", file=sys.stderr, flush=True)


def one_line(error: Exception, trace: Path | None) -> str:
    """What the terminal says of an error: its message, what to do where that is known, and where the trace
    is.
    """
    text = str(error) if isinstance(error, FairgenError) else f"{type(error).__name__}: {error}"
    remedy = next((f"; {what}" for said, what in REMEDIES.items() if said in text), "")
    return f"{' '.join(text.split())}{remedy}{f' (trace in {trace})' if trace else ''}"


def log_failure(error: Exception, path: Path | None) -> None:
    """The trace, then the one line, which the call's last lines quote (`failures`)."""
    if not logging.getLogger().handlers:  # it failed before the log was opened
        with contextlib.suppress(OSError):
            open_log(path)
    log.debug("failed", exc_info=error)
    if logging.getLogger().handlers:
        log.error(one_line(error, None))


def open_log(path: Path | None, before: Path | None = None) -> logging.Handler:
    """Write all that is logged from here on to a file too, after what another file says."""
    log.setLevel(logging.DEBUG)
    logging.captureWarnings(True)
    warnings.simplefilter("default")
    handler: logging.Handler = logging.NullHandler()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if before:
            shutil.copyfile(before, path)
        handler = logging.FileHandler(path, mode="a" if before else "w")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    return handler


def ready() -> None:
    """Log the processor time spent so far: imports and loading, before the work began; the last call
    counts.
    """
    log.info("ready after %.2f s of processor time", clock.spent())


def done() -> None:
    """Log the processor time that the job took."""
    log.info("done after %.1f s of processor time", clock.spent())
