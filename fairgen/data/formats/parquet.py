"""Parquet files of images in Hugging Face's image schema, as `datasets` writes and the hub serves them.

A file's split is a word in its name (`train-00000-of-00004.parquet`) or a folder that it lies in (`test/`,
`split=test/`); numbers count shards and say nothing of a split. Integer labels are named by the `ClassLabel`
in the schema's metadata.
"""

import json
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fairgen.core import parquet
from fairgen.core.errors import FairgenError, shortened
from fairgen.data.formats import Reject, Row, cell, split_of_folder
from fairgen.data.formats.files import walk

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
        schema = pq.read_schema(root / file)
        image = parquet.image_column(schema)
        labels = [name for name in schema.names if name != image]
        found = pq.read_table(root / file, columns=labels).to_pylist()
    except MemoryError:
        raise
    except Exception as error:  # of a damaged file, Arrow says it in many ways
        yield Reject(file, f"Parquet file cannot be read: {shortened(str(error))}")
        return
    names, splits = class_names(schema), splits_of(file)
    twice = {name for name in schema.names if schema.names.count(name) > 1}
    if image is None:
        yield Reject(file, "Parquet file has no image column: none is a struct with bytes")
    elif twice:
        yield Reject(file, f"Parquet file has columns of one name: {', '.join(sorted(twice))}")
    elif len(splits) > 1:
        yield Reject(file, f"Parquet file of several splits: its path says {', '.join(sorted(splits))}")
    else:
        for number, row in enumerate(found):
            yield Row(
                f"{file}#{number}",
                {k: spell(v, names.get(k)) for k, v in row.items()},
                next(iter(splits), ""),
            )


def splits_of(file: str) -> set[str]:
    """The splits that a file's folders, and the words in its name, are called after."""
    *folders, name = file.removesuffix(".parquet").split("/")
    words = [re.split(r"[^a-z]+", part.lower()) for part in (*folders, name)]
    return {split_of_folder(word) for word in (*folders, *chain(*words))} - {""}


def class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """The names of each integer label column, from the metadata that `datasets` stores."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return {
            name: f["names"]
            for name, f in features.items()
            if isinstance(f, dict) and f.get("_type") == "ClassLabel"
        }
    except (KeyError, TypeError, ValueError):
        return {}


def spell(value: Any, names: list[str] | None) -> str:
    """A label as text."""
    return names[value] if names and isinstance(value, int) and 0 <= value < len(names) else cell(value)
