"""Which layout a folder or a label table of images has, told from names and headers; no image is read."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from os.path import basename
from pathlib import Path
from typing import Any

from fairgen.core import parquet
from fairgen.core.errors import FairgenError
from fairgen.data import formats
from fairgen.data.formats import Reject, Row, celeba, delimited, fairface, folder, split_of, table, utkface
from fairgen.data.formats.files import PICTURES, walk

TABLES = (".csv", ".tsv", ".txt", ".parquet")
WATERBIRDS = {"img_filename", "y", "split", "place"}
SPECIES = re.compile(r"[0-9]{3}\.[^/]+/")  # folders of Caltech-UCSD Birds, which Waterbirds is made of
FILES, LINES = 2000, 200  # so many files of a folder, and rows of a table, are looked at


@dataclass(frozen=True)
class Layout:
    """A layout with the folder and the options that its reader wants."""

    format: str
    root: Path
    options: dict[str, Any] = field(default_factory=dict)


def recognised(place: Path) -> Layout:
    """The layout of a folder, or of the folder that a label table or a Parquet file lies in.

    Raises:
        FairgenError: there is nothing, or nothing that a reader knows.
    """
    if place.is_file():
        if place.suffix.lower() not in TABLES:
            raise FairgenError(f"{place} is no label table; give a folder, or one of {', '.join(TABLES)}")
        layout = of_parquet(place.parent, [place.name]) or of_table(place)
        if layout is None:
            raise FairgenError(
                f"{place} has no column of paths to images that lie beside it or below; put it into their"
                " folder"
            )
        return layout
    if not place.is_dir():
        raise FairgenError(f"there is no folder or table {place}; check the path")
    files = list(islice((found for found in walk(place) if isinstance(found, str)), FILES))
    layout = next(filter(None, candidates(place, files)), None)
    if layout is None:
        known = "".join(
            f"\n{name}: {formats.reader(name).LAYOUT}" for name in formats.NAMES if name != "birds"
        )
        what = f"{len(files)} files, for example {files[0]}" if files else "no file"
        raise FairgenError(f"{place} holds {what}, in no layout that is read; these are:{known}")
    return layout


def candidates(root: Path, files: list[str]) -> Iterator[Layout | None]:
    """Each layout if the folder has it, the named data sets first."""
    pictures = [file for file in files if file.lower().endswith(PICTURES)]
    if share(pictures, utkface.parse) > 0.5:
        yield Layout("utkface", root)
    if all(delimited.find(root, (name,)) for name in fairface.TABLES.values()):
        yield Layout("fairface", root)
    if delimited.find(root, celeba.ATTRIBUTES):
        yield Layout("celeba", root)
    if metadata := delimited.find(root, celeba.METADATA):
        yield of_metadata(root, metadata)
    yield of_parquet(root, files)
    for file in sorted(files, key=lambda name: (name.count("/"), name)):
        if file.lower().endswith(TABLES):
            yield of_table(root / file, root)
    if share(pictures, folder.parse) > 0.5:
        yield Layout("folder", root)


def share(files: list[str], parse: Any) -> float:
    """Share of the files whose path says their labels."""
    return sum(isinstance(parse(file), Row) for file in files) / len(files) if files else 0.0


def of_metadata(root: Path, path: Path) -> Layout | None:
    """Waterbirds or CelebA by a `metadata.csv` with their columns."""
    try:
        row = next((found for found in delimited.rows(path) if not isinstance(found, Reject)), None)
    except FairgenError:
        return None
    columns = row[1] if row else {}
    if columns.keys() >= WATERBIRDS and SPECIES.match(columns["img_filename"]):
        return Layout("waterbirds", root, {"labels": "released"})
    return Layout("celeba", root) if "y" in columns and "a" in columns else None


def of_parquet(root: Path, files: list[str]) -> Layout | None:
    """Parquet files that hold the images themselves."""
    for file in files:
        if file.endswith(".parquet"):
            try:
                holds = parquet.image_column(parquet.schema(root / file))
            except (OSError, ValueError):  # told when it is read
                continue
            if holds:
                return Layout("parquet", root)
    return None


def of_table(path: Path, root: Path | None = None) -> Layout | None:
    """A label table with a column of paths below `root`, else below its own folder, where leading folders of
    the paths may lack.
    """
    own = path.parent
    try:
        found = islice((row[1] for row in table.content(path, ()) if not isinstance(row, Reject)), LINES)
        rows = list(found)
    except FairgenError:
        return None
    for place in dict.fromkeys((root or own, own)):
        if column := fullest(rows, partial(is_file_in, place)):
            return as_table(path, place, column, rows)
    names = {
        basename(file) for file in walk(own) if isinstance(file, str) and file.lower().endswith(PICTURES)
    }
    column = fullest(rows, lambda word: basename(word) in names)
    return as_table(path, own, column, rows) if column else None


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
    return (place / name).is_file()


def as_table(path: Path, root: Path, column: str, rows: list[dict[str, str]]) -> Layout:
    """The layout of a table with this column of paths."""
    file = path.relative_to(root).as_posix()
    return Layout("table", root, {"file": file, "path": column, "split": split_in(rows)})


def split_in(rows: list[dict[str, str]]) -> str | None:
    """The column that says each row's split: words only, or numbers under a name that says so."""
    for column in rows[0]:
        words = {row[column].strip().lower() for row in rows}
        told = {split_of(word) for word in words}
        if len(told) > 1 and told <= {"train", "validation", "test"}:
            numbers = all(word[:1].isdigit() for word in words)
            if not numbers or re.search("split|fold|partition|subset", column, re.I):
                return column
    return None


@dataclass
class Seen:
    """What a reader says of a data set: how many images, and of each attribute how many have each value."""

    rows: list[dict[str, str]] = field(default_factory=list)
    rejects: Counter = field(default_factory=Counter)
    splits: Counter = field(default_factory=Counter)

    def counts(self, name: str) -> Counter:
        """How many images have each value of an attribute."""
        return Counter(row[name] for row in self.rows if row.get(name))

    @property
    def attributes(self) -> list[str]:
        """The names of all attributes, in the order of the first row's."""
        return list(dict.fromkeys(name for row in self.rows[:LINES] for name in row))


def seen(layout: Layout) -> Seen:
    """Read all labels.

    Raises:
        FairgenError: the reader's own, or no image has a label.
    """
    found = Seen()
    for row in formats.rows(layout.format, layout.root, layout.options):
        if isinstance(row, Reject):
            found.rejects[row.reason.partition(":")[0]] += row.malformed
        else:
            found.rows.append(row.attributes)
            found.splits[row.split] += 1
    if not found.rows:
        reasons = ", ".join(f"{count} × {reason}" for reason, count in found.rejects.most_common(3))
        raise FairgenError(f"{layout.root}: no image has a label ({reasons or 'no file'})")
    return found
