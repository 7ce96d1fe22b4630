"""One reader per data set layout; each has `read(root, options)` that yields every file or row of a label
table, as `Row` or `Reject`.

A reader states what a file says about itself, as raw attributes (`age: 31`, `Male: -1`). What of that is the
target and what the bias is the config's business, in `fairgen.data.labels`.
"""

import importlib
import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from fairgen.core.errors import FairgenError

NAMES = ("birds", "celeba", "fairface", "folder", "parquet", "table", "utkface", "waterbirds")
SPLIT_WORDS = {
    "train": ("0", "train", "training"),
    "validation": ("1", "val", "valid", "validation", "dev"),
    "test": ("2", "test", "testing"),
    "shift": ("shift",),  # a second test set under another law, which has figures of its own
}


class Unread(str):
    """The type of a value that is no single word or number, in its place."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is said of one image; of one that a label table names twice, there are two rows.

    `split` is "" where the data set has no official one, `detail` what is known of it beyond
    that (`species: duck`), `where` the place in a label table.
    """

    path: str
    attributes: dict[str, str]
    split: str = ""
    detail: dict[str, str] = field(default_factory=dict)
    where: str = ""

    def attribute(self, name: str) -> str:
        """What is said of one attribute.

        Raises:
            FairgenError: nothing, for the data lacks it, or it is no single word or number.
        """
        if (name := composed(name)) not in self.attributes:
            raise FairgenError(
                f"config: the data has no attribute '{name}'; {self.path} has"
                f" {', '.join(self.attributes) or 'none'}"
            )
        if isinstance(value := self.attributes[name], Unread):
            raise FairgenError(
                f"config: the attribute '{name}' of {self.path} is a {value}; give one that is text or a"
                " number"
            )
        return value


@dataclass(frozen=True, slots=True)
class Reject:
    """One file that is left out; `malformed` files count towards `index.max_rejected`, others are merely not
    asked for.

    What stands before the colon of a reason names its kind: rejects are counted by it.
    """

    file: str
    reason: str
    malformed: bool = True


def reader(name: str) -> ModuleType:
    """The module that reads one layout."""
    return importlib.import_module(f"fairgen.data.formats.{name}")


def composed(text: str) -> str:
    """A text with one code for each letter, `ä` never as `a` and two dots: some systems write the latter."""
    return unicodedata.normalize("NFC", text)


def plain(word: str) -> str:
    """A word of the data; a whole number that another program has written as `1.0` is `1`."""
    found = re.fullmatch(r"([+-]?[0-9]+)\.0*", word)
    return found[1] if found else word


def cell(value: Any) -> str:
    """A value of a Parquet column as text, "" for one that is not there (null, NaN)."""
    if isinstance(value, list | dict | bytes):
        return Unread(type(value).__name__)
    return "" if value is None or value != value else str(value).strip()


@lru_cache  # the same few words come in every row
def split_of(value: object) -> str | None:
    """The split that a data set's own word means, for example `val` or 1; "" for none, None for an unknown
    word.
    """
    word = plain(str("" if value is None else value).strip().lower())
    return next((split for split, words in SPLIT_WORDS.items() if word in words), None if word else "")


@lru_cache
def split_of_folder(name: str) -> str:
    """The split that a folder is for by its name (`test`, `split=test`), "" for none; a number is no split's
    name.
    """
    word = name.rpartition("=")[2].strip()
    return (split_of(word) or "") if word.isalpha() else ""


def printable(name: str) -> str:
    """A file's name as text that can be stored anywhere: bytes that are no UTF-8 are written as `\\xff`."""
    return os.fsencode(name).decode("utf-8", errors="backslashreplace")


def stored(found: Row | Reject) -> Row | Reject:
    """A row or reject as it may be stored; a file whose name is no UTF-8 becomes a reject."""
    name = found.path if isinstance(found, Row) else found.file
    if (escaped := printable(name)) == name:
        return in_one_form(found) if isinstance(found, Row) else found
    if isinstance(found, Reject):
        return Reject(escaped, printable(found.reason), found.malformed)
    return Reject(escaped, "file name is not UTF-8: rename the file")


def in_one_form(row: Row) -> Row:
    """A row whose attributes are `composed`."""
    if all(text.isascii() for pair in row.attributes.items() for text in pair):
        return row
    words = {
        composed(name): word if isinstance(word, Unread) else composed(word)
        for name, word in row.attributes.items()
    }
    return replace(row, attributes=words)


def rows(name: str, root: Path, options: dict[str, Any]) -> Iterator[Row | Reject]:
    """Read a data set's labels."""
    return map(stored, reader(name).read(root, options))
