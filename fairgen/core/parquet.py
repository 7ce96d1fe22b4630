"""Parquet in and out: the only table format that fairgen reads back."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fairgen.core import lineage
from fairgen.core.behind import Behind
from fairgen.core.errors import FairgenError

ROW_GROUP = 256  # images a row group: bounded memory, and far from the 2 GiB limit of one column chunk
IMAGE = pa.struct([("bytes", pa.large_binary()), ("path", pa.string())])


def write(
    path: Path, columns: dict[str, Sequence[Any]] | pa.Table, facts: dict[str, Any] | None = None
) -> None:
    """Write a table; `facts` go into the schema's metadata as JSON under the key `fairgen`."""
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    metadata = {
        **(table.schema.metadata or {}),
        **lineage.stamped({"fairgen": json.dumps(facts or {}, sort_keys=True)}),
    }
    pq.write_table(table.replace_schema_metadata(metadata), path, row_group_size=1 << 16)


def read(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read a table, or some of its columns.

    Raises:
        FairgenError: the file is damaged.
    """
    with whole(path):
        return pq.read_table(path, columns=columns)


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """What goes wrong while a file is read is told as its damage.

    Raises:
        FairgenError: the file is damaged.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:160]
        raise FairgenError(
            f"{path} is damaged ({reason}); delete it and call snakemake again, which makes it anew"
        ) from error


def facts(path: Path) -> dict[str, Any]:
    """The facts that `write` stored beside the rows.

    Raises:
        FairgenError: the file is damaged.
    """
    with whole(path):
        found = json.loads((schema(path).metadata or {}).get(b"fairgen", b"{}"))
        if not isinstance(found, dict):
            raise ValueError("its facts are no block of keys")
        return found


def count(path: Path) -> int:
    """Number of rows."""
    return pq.read_metadata(path).num_rows


def rows(path: Path, columns: list[str] | None = None) -> list[dict[str, Any]]:
    """All rows as dictionaries; for tables without image bytes."""
    return read(path, columns).to_pylist()


def vectors(values: np.ndarray) -> pa.Array:
    """(n, d) as a column of float32 lists, which `matrix` reads back."""
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel(), pa.float32()), values.shape[1])


def matrix(table: pa.Table, column: str) -> np.ndarray:
    """A column of lists of one length as (n, d)."""
    flat = table[column].combine_chunks()
    return flat.values.to_numpy().reshape(len(flat), -1)


def schema(path: Path) -> pa.Schema:
    """The columns of a file, with the metadata of its writer.

    Raises:
        FairgenError: the file is damaged.
    """
    with whole(path):
        return pq.read_schema(path)


def image_column(found: pa.Schema) -> str | None:
    """The first column of encoded images (a struct with a field `bytes`)."""
    structs = [field for field in found if pa.types.is_struct(field.type)]
    return next(
        (f.name for f in structs if "bytes" in {f.type.field(i).name for i in range(f.type.num_fields)}), None
    )


def image_bytes(path: Path, wanted: Sequence[int] | None = None) -> Iterator[tuple[int, bytes | None]]:
    """Yield (row number, encoded image) of all rows or of `wanted` ones, a row group at a time, in the file's
    order.
    """
    with pq.ParquetFile(path) as file:
        column, start = image_column(file.schema_arrow), 0
        asked = None if wanted is None else set(wanted)
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            rows = [n for n in range(count) if asked is None or start + n in asked]
            if rows:
                content = (
                    file.read_row_group(group, columns=[f"{column}.bytes"])[column]
                    .combine_chunks()
                    .field("bytes")
                )
                yield from ((start + n, content[n].as_py()) for n in rows)
            start += count


def image_rows(path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield what `write_images` was given."""
    for row in read(path).to_pylist():
        yield row.pop("image")["bytes"], row


def image_schema(fields: dict[str, pa.DataType]) -> pa.Schema:
    """Schema with an `image` column that Hugging Face `datasets` opens as images."""
    features = {"image": {"_type": "Image"}} | {
        name: {"dtype": str(kind).replace("double", "float64").replace("bool", "bool_"), "_type": "Value"}
        for name, kind in fields.items()
    }
    features = {k: ({**v, "dtype": "bool"} if v.get("dtype") == "bool_" else v) for k, v in features.items()}
    described = json.dumps({"info": {"features": features}}).encode()
    return pa.schema([("image", IMAGE), *fields.items()], metadata={b"huggingface": described})


def write_images(
    path: Path,
    images: Iterable[tuple[bytes, dict[str, Any]]],
    fields: dict[str, pa.DataType],
    about: dict[str, Any],
) -> int:
    """Write encoded images with their columns in bounded row groups; returns the number of rows.

    A thread writes a group while the next one comes.
    """
    schema, count = image_schema(fields), 0
    pending: list[dict[str, Any]] = []
    schema = schema.with_metadata(
        {**schema.metadata, **lineage.stamped({"fairgen": json.dumps(about, sort_keys=True)})}
    )
    with pq.ParquetWriter(path, schema) as writer, Behind() as behind:

        def write_group(rows: list[dict[str, Any]]) -> None:
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))

        for encoded, row in images:
            pending.append({"image": {"bytes": encoded, "path": None}, **row})
            count += 1
            if len(pending) == ROW_GROUP:
                behind.do(partial(write_group, pending))
                pending = []
        if pending:
            behind.do(partial(write_group, pending))
    return count
