"""Which of the label tables in a folder says most of its images, and which of its columns name files and
splits; every row is read, no image is.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from os.path import basename, isfile
from pathlib import Path
from typing import Any

from fairgen.core.errors import FairgenError
from fairgen.data.formats import Reject, split_of, table
from fairgen.data.formats.files import PICTURES, walk

TABLES = (".csv", ".tsv", ".txt", ".parquet")
LOOKED_UP = 200  # about so many rows tell which column names files
SAYS_SPLIT = ("split", "splits", "partition", "subset")  # words in the name of a column of splits
FOLDS = ("fold", "folds")  # of a cross-validation, or splits
WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")  # of a name, `trainSplit` and `train_split` alike


@dataclass(frozen=True)
class Layout:
    """A layout with the folder and the options that its reader wants."""

    format: str
    root: Path
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A label table: its file, the folder and the column of its paths, and its rows."""

    path: Path
    root: Path
    column: str
    rows: list[dict[str, str]]

    @cached_property
    def labels(self) -> list[str]:
        """The columns that tell images apart, beside paths and splits."""
        names = (name for name in self.rows[0] if name != self.column and not names_split(name))
        return [name for name in names if 1 < len({row[name] for row in self.rows} - {""}) < len(self.rows)]


def names_split(column: str, words: tuple[str, ...] = SAYS_SPLIT + FOLDS) -> bool:
    """Whether a column may say the split by its name: `train_split`, `Fold`, but neither `folder` nor
    `scaffold`.
    """
    return any(word.lower() in words for word in WORDS.findall(column))


def read(path: Path, root: Path | None = None) -> Table | None:
    """A table with a column of paths below `root`, else below its own folder, where leading folders of the
    paths may lack; None where it has none.

    Raises:
        FairgenError: it cannot be read as a table.
    """
    own = path.parent
    rows = [row[1] for row in table.content(path, ()) if not isinstance(row, Reject)]
    some = rows[:: max(1, len(rows) // LOOKED_UP)]
    for place in dict.fromkeys((root or own, own)):
        if column := fullest(some, partial(is_file_in, place)):
            return Table(path, place, column, rows)
    names = {
        basename(file) for file in walk(own) if isinstance(file, str) and file.lower().endswith(PICTURES)
    }
    column = fullest(some, lambda word: basename(word) in names)
    return Table(path, own, column, rows) if column else None


def fullest(rows: list[dict[str, str]], names_file: Callable[[str], bool]) -> str | None:
    """The column that names the most files; None where none does."""
    counts = {
        column: sum(names_file(row[column]) for row in rows if row[column])
        for column in (rows[0] if rows else ())
    }
    best = max(counts, key=lambda column: counts[column], default=None)
    return best if best and counts[best] else None


def is_file_in(place: Path, name: str) -> bool:
    """Whether a path relative to a folder is a file's."""
    return isfile(place / name)  # of a long text, `Path.is_file` raises


def among(files: list[Path], root: Path) -> Layout | None:
    """The layout of the only table in a folder that has labels, at least two of them if some table has; None
    where none names images.

    Raises:
        FairgenError: there are several, which only the user can tell apart or join.
    """
    found = []
    for path in sorted(files, key=lambda path: (len(path.parts), path)):
        try:
            if one := read(path, root):
                found.append(one)
        except FairgenError:  # told when it is named
            continue
    wanted = min(2, max((len(one.labels) for one in found), default=0))
    found = [one for one in found if len(one.labels) >= wanted]
    if len(found) > 1:
        named = ", ".join(f"{one.path.relative_to(root)} ({len(one.rows)} rows)" for one in found)
        raise FairgenError(
            f"{root} has several label tables: {named}; name one of them in place of the folder, or join them"
            " into one with a column of splits"
        )
    return layout(found[0]) if found else None


def layout(of: Table) -> Layout:
    """The layout of a table.

    Raises:
        FairgenError: a column, or the folders of its paths, say splits in words that are not read.
    """
    file, split = of.path.relative_to(of.root).as_posix(), split_in(of.rows, of.path)
    options: dict[str, Any] = {"file": file, "path": of.column, "split": split}
    if split is None and len({table.split_of_path(row[of.column]) for row in of.rows} - {""}) > 1:
        options["split_folders"] = True
    return Layout("table", of.root, options)


def split_in(rows: list[dict[str, str]], path: Path) -> str | None:
    """The column that says each row's split: words only, or numbers under a name that says so.

    Raises:
        FairgenError: a column says it for some rows, or may say it: with it ignored, test images would be
            trained on.
    """
    for column in rows[0]:
        words, named = Counter(row[column].strip() for row in rows), names_split(column)
        told = {word: split_of(word) if named or not word[:1].isdigit() else None for word in words}
        splits = {split for split in told.values() if split}
        numbers = all(word[:1].isdigit() for word in words if word)
        if not any(words):
            continue
        if numbers and names_split(column, FOLDS):
            if None in told.values() or len(words) < 2:
                continue  # folds of a cross-validation
            listed = ", ".join(sorted(words))
            raise FairgenError(
                f"{path}: the column '{column}' has {listed}, which may be splits or folds of a"
                " cross-validation; write train, validation and test into it, or take it out"
            )
        if not named if numbers else not splits:
            continue  # an attribute
        unread = {word: count for word, count in words.items() if not told[word]}
        if unread and (named or len(splits) > 1):
            listed = ", ".join(f"{word or 'nothing'} ({count} rows)" for word, count in unread.items())
            raise FairgenError(
                f"{path}: the column '{column}' says {', '.join(sorted(splits)) or 'no split'}, and {listed},"
                " which is no split; write train, validation, test or shift in every row, or rename the"
                " column"
            )
        if len(splits) > 1:
            return column
    return None
