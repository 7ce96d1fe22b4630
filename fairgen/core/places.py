"""Names of models and folders as others may read them: without places on this machine."""

import re
from pathlib import Path

HUB = "@"  # in the identity of a base: a hub id and its commit; a local one's is a hash
PACKAGE = "fairgen:"
PLACE = re.compile(
    r"(?:file://)?(?:/[^/\s]+/.+|~[\w.-]*[/\\].*|\.{1,2}[/\\].+|[A-Za-z]:[\\/].+|\\\\[^\\\s]+\\.+)", re.S
)
ROOTS = "home|Users|root|mnt|media|Volumes|scratch|work|gpfs|lustre|nfs|projects?|storage|srv|tmp|data"
HOME = re.compile(  # a place inside a text
    rf"(?<![\w.:/-])(?:/(?:{ROOTS})/|[A-Za-z]:\\|\\\\[\w.-]+\\|~/)[^\s\"'`)]*"
)


def last(place: str) -> str:
    """The last part of a place, of this machine or of another."""
    return re.split(r"[/\\]", place.rstrip("/\\"))[-1]


def model(name: str, identity: str) -> str:
    """A model's name: hub ids and what fairgen brings along as they are, of a place the last part.

    Args:
        name: as the config has it; a folder's may read like a hub id.
        identity: of its base, which knows (`fairgen.models.diffusion.identity`).
    """
    return name if name.startswith(PACKAGE) or HUB in identity else last(name)


def base(named: str) -> str:
    """A base as images name theirs: its model, and its identity behind `#`."""
    name, mark, identity = named.rpartition("#")
    return model(name, identity) + mark + identity


def scorer(name: str) -> str:
    """A scorer's or an encoder's name, of which no identity is known: a folder is one that is there."""
    there = not name.startswith(PACKAGE) and Path(name).expanduser().exists()
    return last(name) if there else text(name)


def text(value: str) -> str:
    """A text as it is; a place's last part."""
    return last(value) if PLACE.fullmatch(value) else value
