"""CelebA: forty attributes as −1/1, official split 0/1/2, in the official text files or any of their common
copies.

Read are `list_attr_celeba` as text (variable spaces, any line end, with or without the count line) and as
Kaggle's csv, CelebA-HQ's `CelebAMask-HQ-attribute-anno.txt` (no split), and `metadata.csv` with a column `y`
(blond) and `a` or `place` (male). The images may lie at any depth, doubly nested ones included.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairgen.core.errors import FairgenError, shortened
from fairgen.data.formats import Reject, Row, delimited, split_of
from fairgen.data.formats.files import Entry, Files

LAYOUT = (
    "img_align_celeba/000001.jpg … beside list_attr_celeba.txt and list_eval_partition.txt (or Kaggle's .csv)"
)
HQ = "CelebAMask-HQ-attribute-anno.txt"  # has no split
ATTRIBUTES = ("list_attr_celeba.txt", "list_attr_celeba.csv", HQ)
PARTITION = ("list_eval_partition.txt", "list_eval_partition.csv")
METADATA = ("metadata.csv", "metadata_celeba.csv")
BINARY = {"1": "1", "-1": "-1", "0": "-1", "1.0": "1", "-1.0": "-1", "0.0": "-1"}
Labelled = tuple[str, str, dict[str, str], str]  # where the row stands, image name, attributes, split word


def read(root: Path, options: dict[str, Any]) -> Iterator[Row | Reject]:
    """Yield every image once, with the attributes that the label file names, as "1" and "-1".

    Raises:
        FairgenError: no label file is found, or it cannot be told which one counts.
    """
    labels, partition = delimited.find(root, ATTRIBUTES), delimited.find(root, PARTITION)
    if labels is None:
        labels, partition = delimited.find(root, METADATA), None
    elif partition is None and labels.name != HQ:
        raise FairgenError(
            f"{root}: {' or '.join(PARTITION)} is neither beside {labels.name} nor one folder further down;"
            " put it there, or images of one person come to stand in training and test"
        )
    if labels is None:
        raise FairgenError(f"{root}: none of {', '.join(ATTRIBUTES + METADATA)} is there; expected {LAYOUT}")
    files = Files(root, [p.relative_to(root).as_posix() for p in (labels, partition) if p])
    splits, twice, rejects = partitions(partition) if partition else ({}, set(), [])

    def entry(where: str, name: str, attributes: dict[str, str], word: str) -> Entry | Reject:
        word = splits.get(name, "") if partition else word
        wrong = next((a for a, value in attributes.items() if value not in BINARY), None)
        if wrong is not None:
            return Reject(
                where,
                f"row cannot be read: {shortened(wrong)} is '{shortened(attributes[wrong])}', not -1 or 1",
            )
        split = split_of(word)
        if split is None or (labels.name in METADATA and not split):
            return Reject(where, f"row cannot be read: split '{shortened(word)}' is none of 0, 1, 2")
        if partition and (name in twice or not word):
            told = f"{'states several for' if word else 'does not list'} {shortened(name)}"
            return Reject(where, f"row without its split: {partition.name} {told}")
        return Entry(where, name, {a: BINARY[value] for a, value in attributes.items()}, split)

    yield from files.rows(lambda: delimited.each(labelled(labels), entry))
    yield from rejects
    yield from files.rest()


def labelled(path: Path) -> Iterator[Labelled | Reject]:
    """The rows of a label file in any of its shapes."""
    if path.name in METADATA:
        yield from delimited.each(delimited.rows(path, ("split", "y")), metadata)
    elif path.suffix == ".csv":
        found = delimited.rows(path, ("image_id",))
        yield from delimited.each(found, lambda where, row: (where, row.pop("image_id"), row, ""))
    else:
        yield from columns(path)


def columns(path: Path) -> Iterator[Labelled | Reject]:
    """Text with variable spaces; the line of names is the first that is not a count."""
    names: list[str] = []
    for number, line in enumerate(delimited.lines(path), 1):
        fields, where = line.split(), f"{path.name} row {number}"
        if not names:
            names = fields if len(fields) > 1 else []
            names = names[1:] if names and names[0].lower() == "image_id" else names
            delimited.check_columns(path, names)
        elif fields and len(fields) != len(names) + 1:
            yield Reject(
                where, f"row cannot be read: line {number} has {len(fields)} fields, not {len(names) + 1}"
            )
        elif fields:
            yield where, fields[0], dict(zip(names, fields[1:], strict=True)), ""


def metadata(where: str, row: dict[str, str]) -> Labelled:
    """A row of `metadata.csv` as the group-robustness benchmarks write it: y is blond, and a or place is
    male.
    """
    name, male = row.get("img_filename") or row.get("filename", ""), row.get("a") or row.get("place", "")
    return where, name, {"Blond_Hair": row["y"], "Male": male}, row["split"]


def partitions(path: Path) -> tuple[dict[str, str], set[str], list[Reject]]:
    """Split words by image name, the names with several, and rejected lines; the text file has no header,
    Kaggle's has.
    """
    splits: dict[str, str] = {}
    twice, rejects = set(), []
    for number, line in enumerate(delimited.lines(path), 1):
        fields, where = line.replace(",", " ").replace('"', " ").split(), f"{path.name} row {number}"
        if not fields or fields[0] == "image_id":
            continue
        if len(fields) != 2:
            rejects.append(
                Reject(where, f"row cannot be read: line {number} has {len(fields)} fields, not 2")
            )
        elif splits.setdefault(*fields) != fields[1]:
            twice.add(fields[0])
            rejects.append(
                Reject(where, f"row with another split for an image: {splits[fields[0]]} stands above")
            )
        # the same split once more says nothing new
    return splits, twice, rejects
