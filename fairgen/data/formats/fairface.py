"""FairFace (Kärkkäinen & Joo 2021): two csv files of labels; ages are ranges, there are seven races.

The data set has a training and a validation file. The latter is the usual test set, and fairgen cuts the
validation rows from the training file.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from fairgen.core.errors import FairgenError
from fairgen.data.formats import Reject, Row, delimited
from fairgen.data.formats.files import Entry, Files

LAYOUT = "fairface_label_train.csv and fairface_label_val.csv beside the folders train/ and val/"
TABLES = {"train": "fairface_label_train.csv", "test": "fairface_label_val.csv"}
FIELDS = ("age", "gender", "race")


def read(root: Path, options: dict[str, Any]) -> Iterator[Row | Reject]:
    """Yield every image once, with the attributes `age`, `gender` and `race` in lower case where they are
    words.

    Raises:
        FairgenError: a label file is missing.
    """
    found = {}
    for split, name in TABLES.items():
        path = delimited.find(root, (name,))
        if path is None:
            raise FairgenError(f"{root}: no {name}; expected {LAYOUT}")
        found[split] = path
    files = Files(root, [path.relative_to(root).as_posix() for path in found.values()])
    for split, path in found.items():
        yield from files.rows(partial(entries, path, split))
    yield from files.rest()


def entries(path: Path, split: str) -> Iterator[Entry | Reject]:
    """The rows of one label file."""
    return delimited.each(delimited.rows(path, ("file", *FIELDS)), partial(entry, split))


def entry(split: str, where: str, row: dict[str, str]) -> Entry | Reject:
    """One row of a label file."""
    empty = [name for name in FIELDS if not row[name]]
    if empty:
        return Reject(where, f"row cannot be read: {', '.join(empty)} is empty")
    labels = {"age": row["age"], "gender": row["gender"].lower(), "race": row["race"]}
    return Entry(where, row["file"], labels, split, {"race": row["race"]})
