"""Waterbirds (Sagawa et al. 2020): `metadata.csv` with y (0 landbird, 1 waterbird), place (0 land, 1 water)
and split.

Three landbird species are labelled waterbird in the released file, because "tern" stands in their names. The
benchmark's labels are kept unless the option `labels: corrected` is given.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from fairgen.core.errors import FairgenError, shortened
from fairgen.data.formats import Reject, Row, delimited, plain, split_of
from fairgen.data.formats.files import Entry, Files, normal

LAYOUT = (
    "metadata.csv (img_filename, y, split, place) beside the folders of images, 001.Black_footed_Albatross/…"
)
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
    make, columns = (
        partial(entry, options.get("labels") == "corrected"),
        ("img_filename", "y", "split", "place"),
    )
    yield from files.rows(lambda: delimited.each(delimited.rows(table, columns), make))
    yield from files.rest()


def entry(corrected: bool, where: str, row: dict[str, str]) -> Entry | Reject:
    """One row of the table; a species is the name of the folder that the image lies in."""
    kind, place, split = KINDS.get(plain(row["y"])), PLACES.get(plain(row["place"])), split_of(row["split"])
    if kind is None or place is None or not split:
        told = ", ".join(f"{name} '{shortened(row[name])}'" for name in ("y", "place", "split"))
        return Reject(where, f"row cannot be read: {told}")
    species = PurePosixPath(normal(row["img_filename"])).parent.name.rpartition(".")[2]
    kind = "landbird" if corrected and species in MISLABELLED else kind
    return Entry(where, row["img_filename"], {"kind": kind, "place": place}, split, {"species": species})
