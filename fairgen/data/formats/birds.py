"""The drawn data set: Parquet files of images with their labels, as `fairgen.data.draw` writes them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairgen.core import parquet
from fairgen.data.formats import Reject, Row

LAYOUT = "drawings.parquet, which the rule `draw` makes by itself"


def read(root: Path, options: dict[str, Any]) -> Iterator[Row | Reject]:
    """Yield one row per drawing, with the attributes `kind` and `place`; there are no rejects."""
    known = ("species", "scene", "look")
    for i, row in enumerate(parquet.rows(root / "drawings.parquet", ["target", "bias", "split", *known])):
        yield Row(
            f"drawings.parquet#{i}",
            {"kind": row["target"], "place": row["bias"]},
            row["split"],
            {key: row[key] for key in known},
        )
