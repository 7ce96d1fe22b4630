"""Which layout a folder or a label table of images has, told from names and headers; no image is read."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fairgen.core import parquet
from fairgen.core.errors import FairgenError
from fairgen.data import formats, label_tables
from fairgen.data.formats import Reject, Row, celeba, delimited, fairface, folder, utkface
from fairgen.data.formats.files import PICTURES, walk
from fairgen.data.label_tables import TABLES, Layout

WATERBIRDS = {"img_filename", "y", "split", "place"}
CELEBRITY = re.compile(r"(^|/)[0-9]{6}\.(jpg|png)$")  # CelebA's names of images
SPECIES = re.compile(r"[0-9]{3}\.[^/]+/")  # folders of Caltech-UCSD Birds, which Waterbirds is made of


def recognised(place: Path) -> Layout:
    """The layout of a folder, or of the folder that a label table or a Parquet file lies in.

    Raises:
        FairgenError: there is nothing, or nothing that a reader knows.
    """
    if place.is_file():
        if place.suffix.lower() not in TABLES:
            raise FairgenError(f"{place} is no label table; give a folder, or one of {', '.join(TABLES)}")
        if layout := of_parquet(place.parent, [place.name]):
            return layout
        if found := label_tables.read(place):
            return label_tables.layout(found)
        raise FairgenError(
            f"{place} has no column of paths to images that lie beside it or below; put it into their folder"
        )
    if not place.is_dir():
        raise FairgenError(f"there is no folder or table {place}; check the path")
    files = [found for found in walk(place) if isinstance(found, str)]
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
    yield label_tables.among([root / file for file in files if file.lower().endswith(TABLES)], root)
    if share(pictures, folder.parse) > 0.5:
        folder.check(root, pictures)
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
    name = columns.get("filename") or columns.get("img_filename", "")
    return Layout("celeba", root) if {"y", "a"} <= columns.keys() and CELEBRITY.search(name) else None


def of_parquet(root: Path, files: list[str]) -> Layout | None:
    """Parquet files that hold the images themselves."""
    for file in files:
        if file.endswith(".parquet"):
            try:
                holds = parquet.image_column(pq.read_schema(root / file))
            except (OSError, ValueError, pa.ArrowException):  # told when it is read
                continue
            if holds:
                return Layout("parquet", root)
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

    @cached_property
    def attributes(self) -> list[str]:
        """The names of all attributes, in the order of the first row's."""
        return list(dict.fromkeys(name for row in self.rows for name in row))


def seen(layout: Layout) -> Seen:
    """Read all labels.

    Raises:
        FairgenError: the reader's own, or no image has a label.
    """
    found, taken = Seen(), set()
    for row in formats.rows(layout.format, layout.root, layout.options):
        if isinstance(row, Reject):
            found.rejects[row.reason.partition(":")[0]] += row.malformed
        elif row.path not in taken:  # a table may name an image again
            taken.add(row.path)
            found.rows.append(row.attributes)
            found.splits[row.split] += 1
    if not found.rows:
        reasons = ", ".join(f"{count} × {reason}" for reason, count in found.rejects.most_common(3))
        raise FairgenError(f"{layout.root}: no image has a label ({reasons or 'no file'})")
    return found
