"""A method's synthetic set: what was drawn of each group, its scores, and what the filter kept."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from PIL import Image

from fairgen.core import parquet
from fairgen.core.errors import FairgenError
from fairgen.core.schemas import nearest

OF_SAMPLE = ("prompt", "seed", "borrowed_from")  # columns of a sample that go into the table


@dataclass(frozen=True)
class SyntheticImage:
    """One drawn image; its pixels are read and decoded when they are asked for."""

    id: str
    group: str
    score: float
    kept: bool
    reason: str  # why it was not kept
    prompt: str
    file: Path
    row: int  # in that file

    @cached_property
    def image(self) -> Image.Image:
        """The picture."""
        with parquet.whole(self.file):
            found = Image.open(BytesIO(encoded(self.file, self.row)))
            found.load()
            return found


@lru_cache(maxsize=64)
def footer(path: Path, changed: int) -> pq.FileMetaData:
    """Where the rows of a file lie, which is read once for all of its images; `changed` is its time."""
    return pq.read_metadata(path)


def encoded(path: Path, row: int) -> bytes:
    """One encoded image of a file of samples."""
    with parquet.whole(path):
        return page(path, row)


def page(path: Path, row: int) -> bytes:
    """The same, of a file that is whole."""
    known = footer(path, path.stat().st_mtime_ns)
    with pq.ParquetFile(path, metadata=known) as file:
        for group in range(known.num_row_groups):
            if row < (count := known.row_group(group).num_rows):
                column = file.read_row_group(group, columns=["image.bytes"])["image"].combine_chunks()
                return column.field("bytes")[row].as_py() or b""
            row -= count
    raise FairgenError(f"{path} has fewer rows than its selection says; make the selection again")


@dataclass(frozen=True)
class Selection:
    """A method's synthetic set at a bias ratio.

    Attributes:
        path: the file of the selection, under the method that owns it.
        place: where a file of samples lies that the selection names.
    """

    path: Path
    place: Callable[[str], Path]

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row for each drawn image: id, group, cluster, score, kept, reason, prompt, seed, borrowed_from,
        and its place (file, row).
        """
        with parquet.whole(self.path):
            found = parquet.read(self.path).to_pandas()
        found["row"] = found.groupby("file", sort=False).cumcount()
        parts = []
        for file, own in found.groupby("file", sort=False):
            place = self.place(str(file))
            with parquet.whole(place):
                drawn = parquet.read(place, ["id", *OF_SAMPLE]).to_pandas()
            if list(drawn["id"]) != list(own["id"]):
                raise FairgenError(
                    f"{self.path} was not made from {file}: their images differ; make the selection again"
                )
            parts.append(own.assign(**{name: drawn[name].to_numpy() for name in OF_SAMPLE}))
        return pd.concat(parts, ignore_index=True) if parts else found

    @property
    def kept(self) -> pd.DataFrame:
        """The rows that the filter kept."""
        return self.table[self.table["kept"]]

    @property
    def rejected(self) -> pd.DataFrame:
        """The rows that it left out, each with the reason."""
        return self.table[~self.table["kept"]]

    @property
    def counts(self) -> pd.DataFrame:
        """For each group the images that were sampled and kept, and the share that reaches the threshold."""
        facts = parquet.facts(self.path)["groups"]
        return pd.DataFrame({"group": name, **found} for name, found in facts.items())

    def images(
        self, group: str | None = None, kept: bool | None = True, limit: int | None = None
    ) -> list[SyntheticImage]:
        """Drawn images in the order of the table.

        Args:
            group: of this group; of all by default.
            kept: kept ones, left-out ones (False), or both (None).
            limit: at most so many.

        Raises:
            FairgenError: there is no such group, or the limit is no number of images.
        """
        if limit is not None and limit < 0:
            raise FairgenError(f"limit {limit}: give a number of images, or None for all")
        rows = self.table
        if group is not None:
            groups = list(dict.fromkeys(rows["group"]))
            if group not in groups:
                raise FairgenError(f"unknown group '{group}'; {nearest(group, groups)}")
            rows = rows[rows["group"] == group]
        rows = rows if kept is None else rows[rows["kept"] == kept]
        return list(self._images(rows if limit is None else rows.head(limit)))

    def image(self, id: str) -> SyntheticImage:
        """One image by its id.

        Raises:
            FairgenError: there is none.
        """
        rows = self.table[self.table["id"] == id]
        if rows.empty:
            raise FairgenError(f"{self.path} has no image '{id}'; ids are like {self.table['id'].iloc[0]}")
        return next(self._images(rows))

    def _images(self, rows: pd.DataFrame) -> Iterator[SyntheticImage]:
        names = [field.name for field in fields(SyntheticImage)]
        for found in rows[names].to_dict("records"):
            values: dict[str, Any] = {str(name): value for name, value in found.items()}
            yield SyntheticImage(**{**values, "file": self.place(values["file"])})
