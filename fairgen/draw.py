"""Stage `draw`: draw the embedded data set `birds` into one Parquet file of images with labels."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from fairgen import images, job, tables
from fairgen.embedded import birds

FIELDS = {name: pa.string() for name in ("target", "bias", "split", "detail")}


@dataclass(frozen=True)
class Draw:
    """Drawings per group in each split, for `aligned` and `conflicting` groups before the bias ratio's cut."""

    seed: int
    size: int
    train: int
    validation: int
    test: int


def drawings(settings: Draw) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield every drawing as PNG with its labels."""
    for split in ("train", "validation", "test"):
        for kind in birds.KINDS:
            for place in birds.PLACES:
                for i in range(getattr(settings, split)):
                    drawn = birds.users(settings.seed, split, kind, place, i, settings.size)
                    labels = {"target": kind, "bias": place, "split": split, "detail": drawn.species}
                    yield images.encode_png(drawn.pixels), labels


def work(settings: Draw, paths: SimpleNamespace) -> None:
    """Write the drawings."""
    tables.write_images(paths.drawings, drawings(settings), FIELDS, {"seed": settings.seed})


if __name__ == "__main__":
    job.main(work, Draw, writes=["drawings"])
