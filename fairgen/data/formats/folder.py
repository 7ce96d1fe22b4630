"""Labels in folder names: `root/<target>/<bias>/*.jpg`, or `root/<split>/<target>/<bias>/*.jpg`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairgen.core.errors import FairgenError
from fairgen.data.formats import Reject, Row, split_of_folder
from fairgen.data.formats.files import PICTURES, walk

LAYOUT = (
    "<target>/<bias>/image.jpg, or <split>/<target>/<bias>/image.jpg with split train, validation or test"
)


def read(root: Path, options: dict[str, Any]) -> Iterator[Row | Reject]:
    """Yield every file below `root` once, with the attributes `target` and `bias`.

    Raises:
        FairgenError: the folders say the split and one label only.
    """
    files = list(walk(root))
    check(root, [found for found in files if isinstance(found, str)])
    for found in files:
        yield found if isinstance(found, Reject) else parse(found)


def pictures(files: list[str]) -> list[str]:
    """The files that are called like pictures."""
    return [file for file in files if file.lower().endswith(PICTURES)]


def check(root: Path, files: list[str]) -> None:
    """The pictures do not lie in `<split>/<label>/`, whose splits would be classes.

    Raises:
        FairgenError: they do.
    """
    rows = [row for row in map(parse, pictures(files)) if isinstance(row, Row)]
    heads = {row.attributes["target"] for row in rows}
    if rows and all(map(split_of_folder, heads)) and not any(row.split for row in rows):
        raise FairgenError(
            f"{root}: its folders, {', '.join(sorted(heads))}, say the split, and those in them one label;"
            f" fairgen needs a second label, as in {LAYOUT}"
        )


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
