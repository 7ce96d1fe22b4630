"""Waterbirds (Sagawa et al. 2020): `metadata.csv` with y (0 landbird, 1 waterbird), place (0 land, 1 water) and split.

Three landbird species are labelled waterbird in the released file, because "tern" stands in their names. The
benchmark's labels are kept unless the option `labels: corrected` is given.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairgen.errors import FairgenError
from fairgen.formats import Reject, Row, delimited, split_of
from fairgen.formats.files import Files

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
    for where, row in delimited.rows(table, ("img_filename", "y", "split", "place")):
        kind, place, split = KINDS.get(row["y"]), PLACES.get(row["place"]), split_of(row["split"])
        if kind is None or place is None or not split:
            yield Reject(where, f"row cannot be read: y '{row['y']}', place '{row['place']}', split '{row['split']}'")
            continue
        species = row["img_filename"].split("/")[0].rpartition(".")[2] if "/" in row["img_filename"] else ""
        if options.get("labels") == "corrected" and species in MISLABELLED:
            kind = "landbird"
        yield files.take(row["img_filename"], where, {"kind": kind, "place": place}, split, species)
    yield from files.rest()
