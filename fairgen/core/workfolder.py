"""A job's work folder: what a killed job leaves for the one that takes its place, beside the declared output.

    adapters/{group}/0.safetensors          the output
    adapters/{group}/.0.work/lock           held while a job runs, so that an orphan never writes beside it
                             new/           outputs that are being written
                             manifest.json  written last: settings, code, inputs, progress, and the files that
                             count
                             train/         the same of one phase, for a job of several
                             …              a checkpoint (safetensors), or finished images (Parquet)
                             done-…         a whole output that waits for its job, by another's process

The folder is removed when the job ends well. A job of other settings, inputs or code starts afresh.
"""

import copy
import errno
import fcntl
import hashlib
import json
import logging
import os
import shutil
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TextIO

from fairgen.core.errors import FairgenError

# at most so much is lost when a job is killed; the environment's FAIRGEN_CHECKPOINT_SECONDS overrides it
SECONDS = 600
MANIFEST = "manifest.json"
DONE = "done-"  # what whole outputs are called that wait for their job
os.umask(UMASK := os.umask(0o022))  # it can be read only by setting it
NEW = "new"
log = logging.getLogger("fairgen")
# what file systems without locks answer
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


class WorkFolder:
    """The work folder of one output, for a job with these settings and this fingerprint of its code."""

    def __init__(self, output: Path, settings: dict[str, Any], code: str = ""):
        self.folder = output.with_name(f".{output.stem}.work")
        self.about: dict[str, Any] = {"settings": settings, "code": code}
        self.files: list[str] = []
        self.progress: dict[str, Any] = {}
        self.seconds = float(os.environ.get("FAIRGEN_CHECKPOINT_SECONDS", SECONDS))
        self._saved_at = time.monotonic()
        self._lock: TextIO | None = None

    def lock(self, waits: Callable[[str], object] | None) -> bool:
        """Hold the folder until the process ends; `waits` gets one sentence if another process holds it until
        then. Without `waits` nothing is waited for.

        Returns:
            Whether this process holds it.
        """
        path = self.folder / "lock"
        while self._lock is None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                handle = path.open("a+")
                if not flocked(handle):
                    if waits is None:
                        handle.close()
                        return False
                    holder = path.read_text() or "another process"
                    waits(f"{self.folder}: {holder} makes this output; waiting for its end (or end it)")
                    flocked(handle, wait=True)
                if os.path.samestat(os.fstat(handle.fileno()), path.stat()):
                    self._lock = handle
            except (FileNotFoundError, FileExistsError):  # its holder has just removed it
                if self.folder.is_file():
                    raise
        self._lock.truncate(0)
        self._lock.write(f"process {os.getpid()} on {socket.gethostname()}")
        self._lock.flush()
        return True

    def fresh(self) -> Path:
        """An empty folder for the outputs while they are written."""
        shutil.rmtree(self.folder / NEW, ignore_errors=True)
        (self.folder / NEW).mkdir()
        return self.folder / NEW

    def begin(self, inputs: dict[str, str]) -> str:
        """Look for what an interrupted job of the same settings and inputs (names to content hashes) has
        left.

        Returns:
            One sentence about it, "" if there is nothing.
        """
        self.about["inputs"] = inputs
        found = self._read()
        changed = differences(found["about"], self.about) if found else []
        if found and not changed:
            self.files, self.progress = found["files"], found["progress"]
        else:
            (self.folder / MANIFEST).unlink(missing_ok=True)
        self._sweep()
        self._saved_at = time.monotonic()
        if changed:
            return f"starts afresh: since the interrupted job {', '.join(changed)} changed"
        shown = {key: value for key, value in self.progress.items() if key != "notes"}
        return f"goes on from {shown}" if found else ""

    def finish(self, outputs: dict[str, Path], stamp: dict[str, Any]) -> dict[str, Path]:
        """Keep whole outputs, by their names, until a job with this `stamp` asks for them; checkpoints go.

        Returns:
            Where they are kept.
        """
        for path in outputs.values():
            place(path, self.folder / f"{DONE}{path.name}")
        kept = {name: f"{DONE}{path.name}" for name, path in outputs.items()}
        self._place(MANIFEST, lambda path: path.write_text(json.dumps({"done": kept, "stamp": stamp})))
        self.files = list(kept.values())
        self._sweep()
        return {name: self.folder / file for name, file in kept.items()}

    def finished(self, stamp: dict[str, Any]) -> dict[str, Path]:
        """The outputs that `finish` has kept; none, and they go, if they are of another stamp, or one of them
        is gone: it was moved to its place by a job that was then killed.
        """
        found = self._read() or {}
        kept = {name: self.folder / file for name, file in found.get("done", {}).items()}
        if found.get("stamp") == stamp and all(path.exists() for path in kept.values()):
            return kept
        if "stamp" in found:
            (self.folder / MANIFEST).unlink()
        return {}

    def part(self, name: str) -> "WorkFolder":
        """A folder inside this one for one phase of a job, kept and removed with this one."""
        inner = copy.copy(self)
        inner.folder, inner.about = self.folder / name, {key: self.about[key] for key in ("settings", "code")}
        inner.files, inner.progress = [], {}
        inner.folder.mkdir(exist_ok=True)
        return inner

    def due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return time.monotonic() - self._saved_at >= self.seconds

    def save(
        self, name: str, write: Callable[[Path], object], progress: dict[str, Any], keep: Sequence[str] = ()
    ) -> None:
        """Store one more file, then the manifest; of the files before it only those of `keep` stay."""
        self._place(name, write)
        self.files, self.progress = [*keep, name], progress
        manifest = {"about": self.about, "files": self.files, "progress": progress}
        self._place(MANIFEST, lambda path: path.write_text(json.dumps(manifest)))
        self._sweep()
        self._saved_at = time.monotonic()

    def paths(self) -> list[Path]:
        """The files that count, in the order of their making."""
        return [self.folder / name for name in self.files]

    def close(self, done: bool) -> None:
        """Let go of the folder; it goes when the output is in its place, or when there is nothing in it to go
        on from.
        """
        if self._lock is None:
            return
        if done or not any(self.folder.rglob(MANIFEST)):
            # at once, for a successor may be waiting
            gone = self.folder.with_name(f"{self.folder.name}.{os.getpid()}")
            self.folder.rename(gone)
            for _ in range(3):  # a successor that waits may have put its lock there just before
                shutil.rmtree(gone, ignore_errors=True)
        self._lock.close()
        self._lock = None

    def _read(self) -> dict[str, Any] | None:
        try:
            return json.loads((self.folder / MANIFEST).read_text())
        except FileNotFoundError:
            return None

    def _place(self, name: str, write: Callable[[Path], object]) -> None:
        temporary = self.folder / f".{name}.tmp"
        write(temporary)
        place(temporary, self.folder / name)

    def _sweep(self) -> None:
        for path in self.folder.iterdir():
            if path.name not in ("lock", NEW, MANIFEST, *self.files):
                path.unlink()


@dataclass(frozen=True)
class Resume:
    """What an interrupted job goes on from: its work folder, and hashes of what its work depends on besides
    settings and code.
    """

    work: WorkFolder
    inputs: dict[str, str]

    def begin(self) -> None:
        """Look for what it has left (`WorkFolder.begin`), and log what there is."""
        if said := self.work.begin(self.inputs):
            log.info("%s", said)


def place(temporary: Path, path: Path) -> None:
    """Move a written file to its place: whole or not at all, even if the machine goes down."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.chmod(0o666 & ~UMASK)  # safetensors files come as 0600
    os.replace(temporary, path)


def flocked(handle: IO[str], wait: bool = False) -> bool:
    """Lock an open file for this process; False where another one holds it and we do not wait.

    Raises:
        FairgenError: the file system has no locks.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        raise FairgenError(
            f"{handle.name}: this file system has no locks ({error.strerror}), which keep jobs apart; mount"
            " it with them (NFS: with its lock service, or for jobs of one machine local_lock=flock; Lustre:"
            " flock), or run in a folder on another one"
        ) from error
    return True


def digest(*contents: Any) -> str:
    """Hash of some contents (bytes or contiguous arrays), for the inputs of a `Resume`."""
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in contents)).hexdigest()[:16]


def differences(one: Any, other: Any, name: str = "") -> list[str]:
    """Dotted names of the leaves in which two JSON values differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted(one.keys() | other.keys())
        return [
            d for key in keys for d in differences(one.get(key), other.get(key), f"{name}.{key}".lstrip("."))
        ]
    return [] if one == other else [name]
