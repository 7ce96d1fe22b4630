"""Label tables as text: comma, tab or semicolon, any line end, with or without a byte-order mark."""

import csv
from collections.abc import Iterator
from pathlib import Path

from fairgen.errors import FairgenError


def lines(path: Path) -> list[str]:
    """The lines of a text file, whatever its line ends; bytes that are no UTF-8 are replaced."""
    return path.read_bytes().decode("utf-8-sig", errors="replace").replace("\0", "").splitlines()


def rows(path: Path, required: tuple[str, ...] = ()) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (where, row) for each row; a field that the row lacks is "".

    Raises:
        FairgenError: a required column is missing.
    """
    text = [line for line in lines(path) if line.strip()]
    header = text[0] if text else ""
    delimiter = max("\t,;", key=header.count)
    columns = [name.strip().strip('"') for name in header.split(delimiter)]
    for name in required:
        if name not in columns:
            raise FairgenError(f"{path}: no column '{name}'; the table has {', '.join(columns) or 'no header'}")
    for number, fields in enumerate(csv.reader(text[1:], delimiter=delimiter), 2):
        values = [field.strip() for field in fields] + [""] * len(columns)
        yield f"{path.name} row {number}", dict(zip(columns, values, strict=False))


def find(root: Path, names: tuple[str, ...]) -> Path | None:
    """The first of some label files, in the folder or one folder further down."""
    for name in names:
        for place in (root / name, *sorted(root.glob(f"*/{name}"))):
            if place.is_file():
                return place
    return None
