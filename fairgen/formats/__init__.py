"""One reader per data set layout; each has `read(root, options)` that yields every file once, as `Row` or `Reject`."""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

NAMES = ("birds", "utkface")


@dataclass(frozen=True)
class Row:
    """One usable label; `split` is "" where the data set has no official one, `detail` a finer class if known."""

    path: str
    target: str
    bias: str
    split: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Reject:
    """One file that is left out; `malformed` files count towards `index.max_rejected`, others are merely not asked for."""

    file: str
    reason: str
    malformed: bool = True


def reader(name: str) -> ModuleType:
    """The module that reads one layout."""
    return importlib.import_module(f"fairgen.formats.{name}")


def rows(name: str, root: Path, options: dict[str, Any]) -> Iterator[Row | Reject]:
    """Read a data set's labels."""
    return reader(name).read(root, options)
