"""Stage `draw`: draw the embedded data set `birds` into one Parquet file of images with labels."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from fairgen.core import images, job, parquet
from fairgen.data.subset import SPLITS
from fairgen.embedded import birds, world

KNOWN = ("species", "scene", "look")  # what a drawing shows beyond its labels
FIELDS = {name: pa.string() for name in ("target", "bias", "split", *KNOWN)}


@dataclass(frozen=True)
class Draw:
    """What is drawn: the user's drawings, before the bias ratio's cut, or those that the base model has seen.

    A count is drawings per group and split; `world` draws groups at random, four times the count in all, and
    has no `shift`, the test set of the user's drawings with species and looks alike in number.
    """

    stream: str  # user | world
    seed: int
    size: int
    distance: float  # of the user's looks from what the base model knows, 0 to 1
    train: int
    validation: int
    test: int
    shift: int


Labelled = tuple[birds.Drawing, str, str]  # with its kind and place


@dataclass(frozen=True)
class Files(job.Files):
    """What a job reads and writes."""

    drawings: job.Output


def users(settings: Draw, split: str) -> Iterator[Labelled]:
    """Yield the user's drawings of a split, group by group."""
    for kind in birds.KINDS:
        for place in birds.PLACES:
            for i in range(getattr(settings, split)):
                drawn = birds.users(settings.seed, split, kind, place, i, settings.size, settings.distance)
                yield drawn, kind, place


def worlds(settings: Draw, split: str) -> Iterator[Labelled]:
    """Yield drawings of the world: as training rows those that the base model is pretrained on, else held-out
    ones.
    """
    if split == "shift":
        return
    name, count = "world" if split == "train" else "held-out", 4 * getattr(settings, split)
    first = 4 * settings.validation if split == "test" else 0
    for i in range(first, first + count):
        drawn = world.world(settings.seed, i, name, settings.size)
        yield drawn, birds.kind_of(drawn.species), birds.place_of(drawn.scene)


STREAMS = {"user": users, "world": worlds}


def drawings(settings: Draw) -> Iterator[tuple[bytes, dict[str, str]]]:
    """Yield every drawing as PNG with its labels."""
    for split in SPLITS:
        for drawn, kind, place in STREAMS[settings.stream](settings, split):
            labels = {"target": kind, "bias": place, "split": split}
            yield images.encode_png(drawn.pixels), labels | {key: getattr(drawn, key) for key in KNOWN}


def work(settings: Draw, files: Files) -> None:
    """Write the drawings."""
    parquet.write_images(files.drawings, drawings(settings), FIELDS, {"seed": settings.seed})


if __name__ == "__main__":
    job.main(work, Draw, Files)
