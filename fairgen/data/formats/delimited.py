"""Label tables as text: comma, tab or semicolon, any line end, quoted cells, with or without a byte-order
mark.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from fairgen.core.errors import FairgenError, shortened
from fairgen.data.formats import Reject

Made = TypeVar("Made")
DELIMITERS = "\t,;"
# a description may be long; the module's own limit of 131,072 characters would end the stage
csv.field_size_limit(2**31 - 1)
Cells = tuple[int, list[str] | str]  # the line that a row begins on; its cells, or why there are none


def lines(path: Path) -> list[str]:
    """The lines of a text file with their ends, whatever these are; bytes that are no UTF-8 are written as
    `\\xfc`, so that words stay different.
    """
    text = path.read_bytes().decode("utf-8-sig", errors="backslashreplace").replace("\0", "")
    return list(io.StringIO(text, newline=""))


def record(text: list[str], start: int, delimiter: str) -> tuple[list[str] | str, int]:
    """The row that begins on a line (its cells, or what is wrong with its quotes), and how many lines it
    takes.
    """
    rest = (text[i] for i in range(start, len(text)))
    reader = csv.reader(rest, delimiter=delimiter, strict=True, skipinitialspace=True)
    try:
        return [cell.strip() for cell in next(reader)], reader.line_num
    except csv.Error as error:
        return str(error), reader.line_num


def cells(text: list[str], delimiter: str, count: int, start: int) -> Iterator[Cells]:
    """Every row from line `start` on. A row must have `count` cells; after one whose quotes are wrong the
    next line is read.
    """
    while start < len(text):
        found, taken = record(text, start, delimiter)
        if not text[start].strip():
            taken = 1
        elif isinstance(found, list) and len(found) == count:
            yield start + 1, found
        elif taken > 1:
            yield start + 1, f"line {start + 1} opens a quote that is not closed"
            taken = 1  # what it swallowed are rows of their own
        else:
            wrong = (
                f"its quotes are wrong ({found})"
                if isinstance(found, str)
                else f"it has {len(found)} cells, not {count}"
            )
            yield start + 1, f"line {start + 1}: {wrong}"
        start += taken


def header(path: Path, text: list[str], start: int, required: tuple[str, ...]) -> tuple[str, list[str], int]:
    """The delimiter with which the first row has the required columns, or else the most; the columns; the
    lines they take.

    Raises:
        FairgenError: a required column is missing, a column stands twice, or a quote is not closed.
    """
    tried = [(mark, *record(text, start, mark)) for mark in DELIMITERS] if text else []
    good = [(mark, found, taken) for mark, found, taken in tried if isinstance(found, list)]
    if tried and not good:
        raise FairgenError(f"{path}: the quotes of its header, line {start + 1}, are wrong; mend the line")
    order = [(set(required) <= set(found), len(found), -DELIMITERS.index(mark)) for mark, found, _ in good]
    mark, columns, taken = good[order.index(max(order))] if good else (",", [], 0)
    for name in required:
        if name not in columns:
            there = shortened(", ".join(columns), 400)
            raise FairgenError(f"{path}: no column '{name}'; the table has {there or 'no header'}")
    check_columns(path, columns)
    return mark, columns, taken


def check_columns(path: Path, columns: list[str]) -> None:
    """Every column has a name of its own.

    Raises:
        FairgenError: one stands twice.
    """
    twice = next((name for name in columns if name and columns.count(name) > 1), None)
    if twice:
        raise FairgenError(f"{path}: the column '{shortened(twice)}' stands twice; rename one of them")


def rows(path: Path, required: tuple[str, ...] = ()) -> Iterator[tuple[str, dict[str, str]] | Reject]:
    """Yield (where, row) for each row, named by the line that it begins on; malformed rows are rejects.

    Raises:
        FairgenError: a required column is missing, or the header cannot be read.
    """
    text = lines(path)
    start = next((i for i, line in enumerate(text) if line.strip()), 0)
    delimiter, columns, taken = header(path, text, start, required)
    for number, found in cells(text, delimiter, len(columns), start + taken):
        where = f"{path.name} row {number}"
        if isinstance(found, str):
            yield Reject(where, f"row cannot be read: {found}")
        else:
            yield where, dict(zip(columns, found, strict=True))


def each(found: Iterable[tuple[Any, ...] | Reject], make: Callable[..., Made]) -> Iterator[Made | Reject]:
    """What `make` makes of each row; rejects stay what they are."""
    for row in found:
        yield row if isinstance(row, Reject) else make(*row)


def find(root: Path, names: tuple[str, ...]) -> Path | None:
    """The first of some label files that is there, in the folder or one folder further down.

    Raises:
        FairgenError: it is there several times, with different contents.
    """
    for name in names:
        places = [place for place in (root / name, *sorted(root.glob(f"*/{name}"))) if place.is_file()]
        if len({place.read_bytes() for place in places}) > 1:
            listed = ", ".join(str(place.relative_to(root)) for place in places)
            raise FairgenError(
                f"{root}: several label files called {name} ({listed}); keep the one that counts"
            )
        if places:
            return places[0]
    return None
