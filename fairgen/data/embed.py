"""Stage `embed`: one feature vector per training image, on which the groups are clustered, and of some
validation images, which are held out when generators are trained.
"""

import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairgen.core import images, job, parquet
from fairgen.core.ahead import ahead
from fairgen.core.errors import FairgenError
from fairgen.core.seeds import seed_of
from fairgen.models import encoder

HELD_OUT = 128  # validation images of a group, at most


@dataclass(frozen=True)
class Embed:
    """The encoder and how many images go through it at once."""

    encoder: encoder.Encoder
    batch: int


@dataclass(frozen=True)
class Files(job.Files):
    """What a job reads and writes."""

    index: job.Input
    embeddings: job.Output


def check_finite(vectors: np.ndarray, files: list[str]) -> None:
    """Raise with the names of images whose features are not finite."""
    bad = [files[i] for i in np.flatnonzero(~np.isfinite(vectors).all(axis=1))]
    if bad:
        listed = ", ".join(bad[:3]) + (", …" if len(bad) > 3 else "")
        raise FairgenError(
            f"embed.encoder: {len(bad)} images have features that are not finite ({listed}); try another"
            " encoder or dtype"
        )


def held_out(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Some of the validation rows of each group of an index, by chance, in their order."""
    of = defaultdict(list)
    for row in rows:
        if row["split"] == "validation":
            of[row["group"]].append(row["id"])
    kept = {
        i
        for group, ids in of.items()
        for i in random.Random(seed_of("held-out", group)).sample(ids, min(len(ids), HELD_OUT))
    }
    return [row for row in rows if row["id"] in kept]


def work(settings: Embed, files: Files) -> None:
    """Embed the training rows of the index, then some of its validation rows."""
    whole = parquet.rows(files.index, ["id", "path", "group", "split", "hash"])
    parts = [r for r in whole if r["split"] == "train"], held_out(whole)
    rows = [row for part in parts for row in part]
    root, hashes = Path(parquet.facts(files.index)["root"]), {r["path"]: r["hash"] for r in rows}
    paths = [r["path"] for r in rows]
    model = encoder.load(settings.encoder)
    job.ready()
    # the two in batches of their own: a training image's vector does not depend on the validation rows
    chunks = [
        [r["path"] for r in part[i : i + settings.batch]]
        for part in parts
        for i in range(0, len(part), settings.batch)
    ]
    loaded = ahead(lambda chunk: images.load(root, chunk, model.size, hashes), chunks)
    vectors = np.concatenate([model(pixels) for pixels in loaded])
    check_finite(vectors, paths)
    parquet.write(files.embeddings, {"id": [r["id"] for r in rows], "vector": parquet.vectors(vectors)})


if __name__ == "__main__":
    job.main(work, Embed, Files)
