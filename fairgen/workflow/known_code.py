"""Fingerprints of code that an earlier call has parsed; parsing it is a fifth of a call's time.

They are remembered by the content of all of fairgen's files, so an edit of any of them parses anew.
"""

import hashlib
import re
from collections.abc import Iterable
from functools import cache

from fairgen.core import fingerprint as parsing
from fairgen.workflow.notes import Notes

NOTES = Notes("fingerprints", kept=2000)
SHAPE = re.compile(r"[0-9a-f]{16}")  # of a fingerprint


@cache
def fingerprint(*modules: str) -> str:
    """As `fairgen.core.fingerprint.fingerprint`, of the package as it was when this process first asked."""
    key = hashlib.sha256("\0".join([present(), *modules]).encode()).hexdigest()[:32]
    if SHAPE.fullmatch(known := remembered().get(key, "")):
        return known
    found = parsing.fingerprint(*modules)
    if parsing.sources() == present() and all_hashed(modules):  # nothing was edited meanwhile
        NOTES.add({key: found})
    return found


def all_hashed(modules: Iterable[str]) -> bool:
    """Whether the files that a fingerprint reads are among those whose content it is remembered by: folders
    that are links are not.
    """
    hashed = set(parsing.PACKAGE.rglob("*.py"))
    return all(parsing.source_file(module) in hashed for module in parsing.closure(modules))


@cache
def present() -> str:
    """The package's files."""
    return parsing.sources()


@cache
def remembered() -> dict[str, str]:
    """What earlier processes have found."""
    return NOTES.read()
