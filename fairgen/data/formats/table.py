"""Any data set with a label table: CSV, TSV or Parquet, whose columns the config names."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fairgen.core.errors import FairgenError, shortened
from fairgen.data.formats import Reject, Row, cell, delimited, split_of, split_of_folder
from fairgen.data.formats.files import Entry, Files, normal

LAYOUT = "a label table (options.file) with a column of image paths (options.path), relative to the folder"


def read(root: Path, options: dict[str, Any]) -> Iterator[Row | Reject]:
    """Yield every image once; all columns are attributes.

    Args:
        root: the folder that the paths are relative to.
        options: `file` (the table, relative to the root), `path` (the column of paths), `split` (the
            column with train, validation, test or 0, 1, 2; null for none), and `split_folders` (whether a
            folder of each path says it).

    Raises:
        FairgenError: the table or a column is missing.
    """
    path, column = root / options["file"], options.get("split")
    if not path.is_file():
        raise FairgenError(f"{path}: no such table; expected {LAYOUT}")
    files = Files(root, [Path(os.path.relpath(path, root)).as_posix()])
    named = (options["path"], *([column] if column else []))
    level = None
    if options.get("split_folders"):
        names = [row[1][options["path"]] for row in content(path, named) if not isinstance(row, Reject)]
        if (level := split_level(names)) is None:
            raise FairgenError(
                f"{path}: options.split_folders: no folder of the paths in '{options['path']}' says the"
                " split; name a column in split, or leave split_folders out"
            )
    make = partial(entry, options["path"], column, level)
    yield from files.rows(lambda: delimited.each(content(path, named), make))
    yield from files.rest()


def entry(
    named: str, column: str | None, level: int | None, where: str, row: dict[str, str]
) -> Entry | Reject:
    """One row of the table; `named` is the column of paths, `column` that of splits, `level` the number of
    the folder that says its split.
    """
    name, split = row.pop(named), split_of(row.pop(column)) if column else ""
    if column and not split:
        return Reject(
            where, f"row cannot be read: its {column} is none of train, validation, test or 0, 1, 2"
        )
    if level is not None and not (split := split_at(name, level)):
        return Reject(where, f"row cannot be read: folder {level + 1} of its path is not called for a split")
    return Entry(where, name, row, split or "")


def split_at(name: str, level: int) -> str:
    """The split that one folder of a path is for, the outermost being 0; "" for none."""
    folders = normal(name).split("/")[:-1]
    return split_of_folder(folders[level]) if level < len(folders) else ""


def split_level(names: list[str]) -> int | None:
    """The number of the outermost folder that says the split in most paths; None where none does."""
    depth = max((normal(name).count("/") for name in names), default=0)
    told = {level: sum(bool(split_at(name, level)) for name in names) for level in range(depth)}
    return next((level for level, count in told.items() if 2 * count > len(names)), None)


def content(path: Path, required: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]] | Reject]:
    """The rows of a text table or of a Parquet file, every value as text.

    Raises:
        FairgenError: the table cannot be read, or lacks a column.
    """
    if path.suffix != ".parquet":
        yield from delimited.rows(path, required)
        return
    try:
        table = pq.read_table(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise FairgenError(f"{path}: no Parquet table: {shortened(str(error))}; write it again") from error
    delimited.check_columns(path, table.column_names)
    for name in required:
        if name not in table.column_names:
            raise FairgenError(f"{path}: no column '{name}'; the table has {', '.join(table.column_names)}")
    for number, row in enumerate(table.to_pylist()):
        yield f"{path.name} row {number}", {name: cell(value) for name, value in row.items()}
