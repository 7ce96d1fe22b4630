"""Which of the label tables in a folder says most of its images, and which of its columns name files and
splits; every row is read, no image is.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property, partial
from os.path import basename, isfile
from pathlib import Path
from typing import Any

from fairgen.core.errors import FairgenError, shortened
from fairgen.data.formats import Reject, composed, split_of, table
from fairgen.data.formats.files import PICTURES, walk

TABLES = (".csv", ".tsv", ".txt", ".parquet")
LOOKED_UP = 200  # about so many rows tell which column names files
SAYS_SPLIT = ("split", "splits", "partition", "subset")  # words in the name of a column of splits
FOLDS = ("fold", "folds")  # of a cross-validation, or splits
SPLIT_NUMBERS = {"0", "1", "2"}
FEW = 4  # values of a column of splits at most; folds are usually more
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
    pictures = (file for file in walk(own) if isinstance(file, str) and file.lower().endswith(PICTURES))
    names = {composed(basename(file)) for file in pictures}
    column = fullest(some, lambda word: composed(basename(word)) in names)
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
    paths = [row[of.column] for row in of.rows]
    if split is None and (level := table.split_level(paths)) is not None:
        said = Counter(table.split_at(path, level) for path in paths)
        if said[""]:
            raise FairgenError(
                f"{of.path}: folder {level + 1} of the paths says {', '.join(sorted(filter(None, said)))},"
                f" and of {said['']} rows no split; write a column of splits"
            )
        if len(said) > 1:
            options["split_folders"] = True
    return Layout("table", of.root, options)


def split_in(rows: list[dict[str, str]], path: Path) -> str | None:
    """The column that says each row's split: words before numbers, and these under a name that says so.

    Raises:
        FairgenError: a column says it for some rows, or may say it: with it ignored, test images would be
            trained on.
    """
    words = {column: Counter(row[column].strip() for row in rows) for column in rows[0]}
    numbers = {name: own for name, own in words.items() if all(word[:1].isdigit() for word in own if word)}
    for column, own in words.items():
        if column not in numbers and told_by_words(own, column, path):
            return column
    doubtful = ""
    for column, own in numbers.items():
        values = own.keys() - {""}
        if not names_split(column) or not values & SPLIT_NUMBERS or len(own) > FEW:
            continue  # an attribute, a seed, or folds of a cross-validation
        if names_split(column, SAYS_SPLIT) and own.keys() <= SPLIT_NUMBERS:
            if len(own) > 1:
                return column
        elif len(values) > 1:
            doubtful = doubtful or column
    if doubtful:
        raise FairgenError(
            f"{path}: the column '{doubtful}' has {counted(sorted(words[doubtful].items()))}, which may be"
            " splits (0, 1, 2), or folds of a cross-validation; write train, validation and test into it,"
            " or take it out"
        )
    return None


def counted(words: Iterable[tuple[str, int]]) -> str:
    """Words with their numbers of rows."""
    return ", ".join(f"{word or 'nothing'} ({count} rows)" for word, count in words)


def told_by_words(words: Counter[str], column: str, path: Path) -> bool:
    """Whether a column says the split of every row in words.

    Raises:
        FairgenError: of some rows it does, of others not.
    """
    told = {word: split_of(word) if not word[:1].isdigit() else None for word in words}
    splits = {split for split in told.values() if split}
    unread = {word: count for word, count in words.items() if not told[word]}
    if unread and splits and (names_split(column) or len(splits) > 1):
        raise FairgenError(
            f"{path}: the column '{column}' says {', '.join(sorted(splits))}, and"
            f" {shortened(counted(unread.items()))}, which is no split; write train, validation, test or"
            " shift in every row, or rename the column"
        )
    return len(splits) > 1
