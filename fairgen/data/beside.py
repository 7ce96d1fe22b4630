"""What is read of an image beside its labels: its caption, and the box of what is to be seen of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fairgen.core import crops
from fairgen.core.errors import FairgenError, shortened
from fairgen.data.formats import Reject, Row

# columns that are there if the config asks for them, and what becomes of images without
COLUMNS = {"caption": "they are trained under their group's prompt", "box": "their centre square is cut"}


@dataclass(frozen=True)
class Beside:
    """The attributes that hold them."""

    caption: str = ""  # "" for none
    box: Sequence[str] = ()  # left, top, width and height

    def of(self, row: Row) -> dict[str, str] | Reject:
        """A row's caption and box, as far as they are asked for, as text; why the row does not count.

        Raises:
            FairgenError: the data lacks one of the attributes.
        """
        found = {}
        if self.caption:
            caption = " ".join(row.attribute(self.caption).split())
            found["caption"] = "" if caption.lower() in crops.EMPTY else caption
        if self.box:
            cells = [row.attribute(name) for name in self.box]
            box = crops.written(cells)
            if box is None:
                told = ", ".join(map(shortened, cells))
                return Reject(row.path, f"box is not left, top, width and height in pixels: {told}")
            found["box"] = box
        return found

    def columns(self) -> list[str]:
        """The columns that are asked for."""
        return [name for name in COLUMNS if getattr(self, name)]

    def gaps(self, rows: list[dict[str, Any]], dataset: str) -> Iterator[str]:
        """Yield how many of the images lack a caption or a box.

        Raises:
            FairgenError: all of them do.
        """
        words = {"caption": self.caption, "box": ", ".join(self.box)}
        for name in self.columns():
            empty = sum(not row[name] for row in rows)
            if empty == len(rows):
                raise FairgenError(
                    f"config: datasets.{dataset}.{name}: {words[name]} is empty for every image; name an"
                    " attribute that says something, or leave the key out"
                )
            if empty:
                yield f"{empty} of {len(rows)} images have no {name} ({words[name]}): {COLUMNS[name]}"
        if self.box:
            read = ((crops.read(row["box"]), (row["width"], row["height"])) for row in rows)
            if out := sum(crops.beyond(box, size) for box, size in read if box):
                yield (
                    f"{out} of {len(rows)} boxes ({words['box']}) reach out of their images by more than a"
                    " tenth: are they left, top, width and height, in pixels of these images?"
                )
