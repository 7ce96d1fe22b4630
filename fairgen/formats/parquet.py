"""Parquet files of images in Hugging Face's image schema, as `datasets` writes and the hub serves them.

A file's split is its name up to the first dash (`train-00000-of-00004.parquet`) or the folder that it lies in. Integer
labels are named by the `ClassLabel` in the schema's metadata.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from fairgen import tables
from fairgen.errors import FairgenError
from fairgen.formats import Reject, Row, split_of
from fairgen.formats.files import walk

LAYOUT = "Parquet files with a column of images (struct of bytes and path) and columns of labels"


def read(root: Path, options: dict[str, Any]) -> Iterator[Row | Reject]:
    """Yield every row of every file once; all columns but the image are attributes.

    Raises:
        FairgenError: no Parquet file is found.
    """
    any_found = False
    for found in walk(root):
        if isinstance(found, Reject):
            yield found
        elif found.endswith(".parquet"):
            any_found = True
            yield from shard(root, found)
        else:
            yield Reject(found, "not a Parquet file: only those are read", malformed=False)
    if not any_found:
        raise FairgenError(f"{root}: no Parquet file; expected {LAYOUT}")


def shard(root: Path, file: str) -> Iterator[Row | Reject]:
    """The rows of one file, without its images."""
    try:
        schema = tables.schema(root / file)
        image = tables.image_column(schema)
    except (OSError, ValueError) as error:
        yield Reject(file, f"Parquet file cannot be read: {error}")
        return
    if image is None:
        yield Reject(file, "Parquet file has no image column: none is a struct with bytes")
        return
    names = class_names(schema)
    words = (file.rsplit("/", 1)[-1].removesuffix(".parquet").split("-")[0], *reversed(file.split("/")[:-1]))
    split = next((s for s in map(split_of, words) if s), "")
    keep = [name for name in schema.names if name != image]
    for number, row in enumerate(tables.rows(root / file, keep)):
        yield Row(f"{file}#{number}", {k: spell(v, names.get(k)) for k, v in row.items()}, split)


def class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """The names of each integer label column, from the metadata that `datasets` stores."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return {name: f["names"] for name, f in features.items() if isinstance(f, dict) and f.get("_type") == "ClassLabel"}
    except (KeyError, TypeError, ValueError):
        return {}


def spell(value: Any, names: list[str] | None) -> str:
    """A label as text."""
    if value is None:
        return ""
    return names[value] if names and isinstance(value, int) and 0 <= value < len(names) else str(value)
