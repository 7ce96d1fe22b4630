"""Stage `draw`: draw the embedded data set `birds` into one Parquet file of images with labels."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from fairgen.core import images, job, parquet
from fairgen.embedded import birds

FIELDS = {name: pa.string() for name in ("target", "bias", "split", "detail")}


@dataclass(frozen=True)
class Draw:
    """What is drawn: the user's drawings, before the bias ratio's cut, or those that the base model has seen.

    A count is drawings per group and split; `world` draws groups at random, four times the count in all.
    """

    stream: str  # user | world
    seed: int
    size: int
    train: int
    validation: int
    test: int


Labelled = tuple[birds.Drawing, str, str]  # with its kind and place


@dataclass(frozen=True)
class Files(job.Files):
    """What a job reads and writes."""

    drawings: job.Output


def user(settings: Draw, split: str) -> Iterator[Labelled]:
    """Yield the user's drawings of a split, group by group."""
    for kind in birds.KINDS:
        for place in birds.PLACES:
            for i in range(getattr(settings, split)):
                yield birds.users(settings.seed, split, kind, place, i, settings.size), kind, place


def world(settings: Draw, split: str) -> Iterator[Labelled]:
    """Yield drawings of the world: as training rows those that the base model is pretrained on, else held-out
    ones.
    """
    name, count = "world" if split == "train" else "held-out", 4 * getattr(settings, split)
    first = 4 * settings.validation if split == "test" else 0
    for i in range(first, first + count):
        drawn = birds.world(settings.seed, i, name, size=settings.size)
        yield drawn, birds.kind_of(drawn.species), birds.place_of(drawn.scene)


STREAMS = {"user": user, "world": world}


def drawings(settings: Draw) -> Iterator[tuple[bytes, dict[str, str]]]:
    """Yield every drawing as PNG with its labels."""
    for split in ("train", "validation", "test"):
        for drawn, kind, place in STREAMS[settings.stream](settings, split):
            yield (
                images.encode_png(drawn.pixels),
                {"target": kind, "bias": place, "split": split, "detail": drawn.species},
            )


def work(settings: Draw, files: Files) -> None:
    """Write the drawings."""
    parquet.write_images(files.drawings, drawings(settings), FIELDS, {"seed": settings.seed})


if __name__ == "__main__":
    job.main(work, Draw, Files)
