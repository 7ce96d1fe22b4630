"""Labels in folder names: `root/<target>/<bias>/*.jpg`, or `root/<split>/<target>/<bias>/*.jpg`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairgen.data.formats import Reject, Row, split_of_folder
from fairgen.data.formats.files import walk

LAYOUT = (
    "<target>/<bias>/image.jpg, or <split>/<target>/<bias>/image.jpg with split train, validation or test"
)


def read(root: Path, options: dict[str, Any]) -> Iterator[Row | Reject]:
    """Yield every file below `root` once, with the attributes `target` and `bias`."""
    for found in walk(root):
        yield found if isinstance(found, Reject) else parse(found)


def parse(file: str) -> Row | Reject:
    """Read one path; never raises."""
    *folders, _ = file.split("/")
    if len(folders) == 3 and (split := split_of_folder(folders[0])):
        return Row(file, {"target": folders[1], "bias": folders[2]}, split)
    if len(folders) == 2:
        return Row(file, {"target": folders[0], "bias": folders[1]})
    return Reject(
        file,
        "path is not <target>/<bias>/image or <split>/<target>/<bias>/image: wrong depth or unknown split",
    )
