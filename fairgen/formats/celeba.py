"""CelebA: forty attributes as −1/1, official split 0/1/2, in the official text files or any of their common copies.

Read are `list_attr_celeba` as text (variable spaces, any line end, with or without the count line) and as Kaggle's csv,
CelebA-HQ's `CelebAMask-HQ-attribute-anno.txt` (no split), and `metadata.csv` with a column `y` (blond) and `a` or
`place` (male). The images may lie at any depth, doubly nested ones included.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairgen.errors import FairgenError
from fairgen.formats import Reject, Row, delimited, split_of
from fairgen.formats.files import Files

LAYOUT = "img_align_celeba/000001.jpg … beside list_attr_celeba.txt and list_eval_partition.txt (or Kaggle's .csv)"
ATTRIBUTES = ("list_attr_celeba.txt", "list_attr_celeba.csv", "CelebAMask-HQ-attribute-anno.txt")
PARTITION = ("list_eval_partition.txt", "list_eval_partition.csv")
METADATA = ("metadata.csv", "metadata_celeba.csv")
BINARY = {"1": "1", "-1": "-1", "0": "-1", "1.0": "1", "-1.0": "-1", "0.0": "-1"}
Labelled = tuple[str, str, dict[str, str], str]  # where the row stands, image name, attributes, split word


def read(root: Path, options: dict[str, Any]) -> Iterator[Row | Reject]:
    """Yield every image once, with the attributes that the label file names, as "1" and "-1".

    Raises:
        FairgenError: no label file is found.
    """
    labels, partition = delimited.find(root, ATTRIBUTES), delimited.find(root, PARTITION)
    if labels is None:
        labels, partition = delimited.find(root, METADATA), None
    if labels is None:
        raise FairgenError(f"{root}: none of {', '.join(ATTRIBUTES + METADATA)} is there; expected {LAYOUT}")
    splits = dict(partitions(partition)) if partition else {}
    files = Files(root, [p.relative_to(root).as_posix() for p in (labels, partition) if p])
    for where, name, attributes, word in labelled(labels):
        word = splits.get(name, "") if partition else word
        wrong = next((a for a, value in attributes.items() if value not in BINARY), None)
        if wrong is not None or split_of(word) is None:
            told = f"{wrong} is '{attributes[wrong]}', not -1 or 1" if wrong else f"split '{word}' is none of 0, 1, 2"
            yield Reject(where, f"row cannot be read: {told}")
        elif partition and not word:
            yield Reject(where, f"row without its split: {partition.name} does not list {name}")
        else:
            yield files.take(name, where, {a: BINARY[value] for a, value in attributes.items()}, split_of(word))
    yield from files.rest()


def labelled(path: Path) -> Iterator[Labelled]:
    """The rows of a label file in any of its shapes."""
    if path.name in METADATA:
        yield from metadata(path)
    elif path.suffix == ".csv":
        for where, row in delimited.rows(path, ("image_id",)):
            yield where, row.pop("image_id"), row, ""
    else:
        yield from columns(path)


def columns(path: Path) -> Iterator[Labelled]:
    """Text with variable spaces; the line of names is the first that is not a count."""
    names: list[str] = []
    for number, line in enumerate(delimited.lines(path), 1):
        fields = line.split()
        if not names:
            names = fields if len(fields) > 1 else []
        elif fields:
            values = fields[1:] + [""] * (len(names) - len(fields) + 1)
            yield f"{path.name} row {number}", fields[0], dict(zip(names, values, strict=False)), ""


def metadata(path: Path) -> Iterator[Labelled]:
    """`metadata.csv` as the group-robustness benchmarks write it: y is blond, and a or place is male."""
    for where, row in delimited.rows(path, ("split", "y")):
        name, male = row.get("img_filename") or row.get("filename", ""), row.get("a") or row.get("place", "")
        yield where, name, {"Blond_Hair": row["y"], "Male": male}, row["split"]


def partitions(path: Path) -> Iterator[tuple[str, str]]:
    """Image names with their split numbers; the text file has no header, Kaggle's has."""
    for line in delimited.lines(path):
        fields = line.replace(",", " ").split()
        if len(fields) == 2 and fields[0] != "image_id":
            yield fields[0], fields[1]
