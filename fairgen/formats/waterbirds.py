"""Waterbirds (Sagawa et al. 2020): `metadata.csv` with y (0 landbird, 1 waterbird), place (0 land, 1 water) and split.

Three landbird species are labelled waterbird in the released file, because "tern" stands in their names. The
benchmark's labels are kept unless the option `labels: corrected` is given.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from fairgen.errors import FairgenError
from fairgen.formats import Reject, Row, delimited, plain, shortened, split_of
from fairgen.formats.files import Entry, Files, normal

LAYOUT = "metadata.csv (img_filename, y, split, place) beside the folders of images, 001.Black_footed_Albatross/…"
KINDS, PLACES = {"0": "landbird", "1": "waterbird"}, {"0": "land", "1": "water"}
MISLABELLED = ("Eastern_Towhee", "Western_Meadowlark", "Western_Wood_Pewee")


def read(root: Path, options: dict[str, Any]) -> Iterator[Row | Reject]:
    """Yield every image once, with the attributes `kind` and `place`; its species is the detail.

    Args:
        root: the folder with metadata.csv, or the one above it.
        options: `labels` is `released` or `corrected`.

    Raises:
        FairgenError: there is no metadata.csv.
    """
    table = delimited.find(root, ("metadata.csv",))
    if table is None:
        raise FairgenError(f"{root}: no metadata.csv; expected {LAYOUT}")
    files = Files(root, [table.relative_to(root).as_posix()])
    yield from files.rows(partial(entries, table, options.get("labels") == "corrected"))
    yield from files.rest()


def entries(table: Path, corrected: bool) -> Iterator[Entry | Reject]:
    """The rows of the table; a species is the name of the folder that the image lies in."""
    for found in delimited.rows(table, ("img_filename", "y", "split", "place")):
        if isinstance(found, Reject):
            yield found
            continue
        where, row = found
        kind, place, split = KINDS.get(plain(row["y"])), PLACES.get(plain(row["place"])), split_of(row["split"])
        if kind is None or place is None or not split:
            told = ", ".join(f"{name} '{shortened(row[name])}'" for name in ("y", "place", "split"))
            yield Reject(where, f"row cannot be read: {told}")
            continue
        species = PurePosixPath(normal(row["img_filename"])).parent.name.rpartition(".")[2]
        if corrected and species in MISLABELLED:
            kind = "landbird"
        yield Entry(where, row["img_filename"], {"kind": kind, "place": place}, split, species)
