"""Fingerprints of code that an earlier call has parsed; parsing it is a sixth of a call's time.

They are remembered by the content of all of fairgen's files, so an edit of any of them parses anew.
"""

import hashlib
import os
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from fairgen.core import fingerprint as parsing
from fairgen.workflow.notes import Notes

NOTES = Notes("fingerprints", kept=2000)
SHAPE = re.compile(r"[0-9a-f]{16}")  # of a fingerprint


class State(NamedTuple):
    """The package's files when this process first asked."""

    times: list[tuple[str, int, int]]  # they tell an edit also where it was undone
    content: str


@cache
def fingerprint(*modules: str) -> str:
    """As `fairgen.core.fingerprint.fingerprint`."""
    if not (state := present()):
        return parsing.fingerprint(*modules)
    key = hashlib.sha256("\0".join([state.content, *modules]).encode()).hexdigest()[:32]
    if SHAPE.fullmatch(known := remembered().get(key, "")):
        return known
    found = parsing.fingerprint(*modules)
    if times() == state.times:  # nothing was edited since, so what was parsed is that content
        NOTES.add({key: found})
    return found


@cache
def present() -> State | None:
    """The package's state, taken before anything is parsed; None where its content cannot say what there is
    to parse.
    """
    before = times()
    if before is None:
        return None
    try:
        return State(before, parsing.sources())
    except OSError:  # a file has just gone
        return None


def times() -> list[tuple[str, int, int]] | None:
    """Path, inode and time of the last change of every file of code; None where code lies behind a linked
    folder, which `sources` does not look into.
    """
    found = []
    try:
        for folder, folders, files in os.walk(parsing.PACKAGE):
            if any(_holds_code(Path(folder, name)) for name in folders if Path(folder, name).is_symlink()):
                return None
            for path in (Path(folder, name) for name in files if name.endswith(".py")):
                about = path.stat()
                found.append((str(path), about.st_ino, about.st_ctime_ns))
    except OSError:
        return None
    return sorted(found)


def _holds_code(folder: Path) -> bool:
    return any(name.endswith(".py") for _, _, files in os.walk(folder, followlinks=True) for name in files)


@cache
def remembered() -> dict[str, str]:
    """What earlier processes have found."""
    return NOTES.read()
