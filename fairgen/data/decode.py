"""Stage `decode`: every image of the index as the classifier sees it, scaled and cut, in one file that all
its jobs share.

The file is made once per data set and picture size, whatever methods, ratios and seeds are compared, and jobs
read from it what they need (`fairgen/data/pixels.py`): it takes n × size² × 3 bytes of disk, and no memory.
An image whose bytes are no longer those that were indexed is refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairgen.core import images, job, parquet
from fairgen.core.progress import counted
from fairgen.data import pixels


@dataclass(frozen=True)
class Decode:
    """There is nothing to set: the picture size is part of the file's name."""


@dataclass(frozen=True)
class Files(job.Files):
    """What a job reads and writes."""

    index: job.Input
    drawings: job.Inputs
    resolution: job.Value
    workers: job.Value
    pixels: job.Output


def pictures(
    rows: list[dict[str, Any]], root: Path, size: int, workers: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Id and pixels (size, size, 3) uint8 of every image, Parquet files from the first row to the last."""
    decoded = images.pictures(
        root, [r["path"] for r in rows], size, {r["path"]: r["hash"] for r in rows}, workers
    )
    for number, picture in counted(decoded, len(rows), "decode", "image"):
        yield rows[number]["id"], picture


def work(settings: Decode, files: Files) -> None:
    """Decode all of the index."""
    rows, root = parquet.rows(files.index, ["id", "path", "hash"]), Path(parquet.facts(files.index)["root"])
    size, workers = int(files.resolution), int(files.workers)
    pixels.write(files.pixels, len(rows), size, pictures(rows, root, size, workers))


if __name__ == "__main__":
    job.main(work, Decode, Files)
