"""One reader per data set layout; each has `read(root, options)` that yields every file once, as `Row` or `Reject`.

A reader states what a file says about itself, as raw attributes (`age: 31`, `Male: -1`). What of that is the target and
what the bias is the config's business, in `fairgen.labels`.
"""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

NAMES = ("birds", "celeba", "fairface", "folder", "parquet", "table", "utkface", "waterbirds")
SPLITS = {
    "train": ("0", "train", "training"),
    "validation": ("1", "val", "valid", "validation", "dev"),
    "test": ("2", "test", "testing"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled image; `split` is "" where the data set has no official one, `detail` a finer class if known."""

    path: str
    attributes: dict[str, str]
    split: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Reject:
    """One file that is left out; `malformed` files count towards `index.max_rejected`, others are merely not asked for.

    What stands before the colon of a reason names its kind: rejects are counted by it.
    """

    file: str
    reason: str
    malformed: bool = True


def reader(name: str) -> ModuleType:
    """The module that reads one layout."""
    return importlib.import_module(f"fairgen.formats.{name}")


def split_of(value: object) -> str | None:
    """The split that a data set's own word means, for example `val` or 1; "" for none, None for an unknown word."""
    word = str("" if value is None else value).strip().lower()
    return next((split for split, words in SPLITS.items() if word in words), None if word else "")


def rows(name: str, root: Path, options: dict[str, Any]) -> Iterator[Row | Reject]:
    """Read a data set's labels."""
    return reader(name).read(root, options)
