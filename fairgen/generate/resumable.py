"""Drawn images, kept in parts while a job runs: a killed job goes on at its first missing image.

A thread writes a part while the next images are drawn.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pyarrow as pa

from fairgen.core import parquet
from fairgen.core.behind import Behind
from fairgen.core.workfolder import Resume

Row = tuple[bytes, dict[str, Any]]


def resumed(
    resume: Resume, fields: dict[str, pa.DataType], make: Callable[[int, dict[str, Any]], Iterator[Row]]
) -> Iterator[Row]:
    """All rows in order: those that an interrupted job has left, then those that are drawn.

    Args:
        resume: the job's work folder, with hashes of what the images come from.
        fields: columns beside the image.
        make: yields the encoded images with their rows, from a number on; what it puts into its notes, the
            job that goes on finds there.
    """
    resume.begin()
    work = resume.work
    for path in work.paths():
        yield from parquet.image_rows(path)
    done, pending = work.progress.get("images", 0), []
    notes = dict(work.progress.get("notes", {}))

    def due(rows: list[Row]) -> bool:
        return work.due() or len(rows) == parquet.ROW_GROUP

    with Behind() as behind:
        for row in make(done, notes):
            pending.append(row)
            yield row
            if due(pending):
                behind.wait()  # for the part before, after which this one may not be due yet
            if due(pending):
                done += len(pending)
                part = partial(parquet.write_images, images=pending, fields=fields, about={})
                progress, name = {"images": done, "notes": dict(notes)}, f"part-{len(work.files):05}.parquet"
                behind.do(partial(work.save, name, part, progress, keep=work.files))
                pending = []
