"""Stage `embed`: one feature vector per training image, on which the groups are clustered."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairgen.core import images, job, parquet
from fairgen.core.errors import FairgenError
from fairgen.models import encoder


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


def work(settings: Embed, files: Files) -> None:
    """Embed the training rows of the index."""
    rows = [r for r in parquet.rows(files.index, ["id", "path", "split", "hash"]) if r["split"] == "train"]
    root, hashes = Path(parquet.facts(files.index)["root"]), {r["path"]: r["hash"] for r in rows}
    paths = [r["path"] for r in rows]
    model = encoder.load(settings.encoder)
    job.ready()
    chunks = [paths[i : i + settings.batch] for i in range(0, len(paths), settings.batch)]
    vectors = np.concatenate([model(images.load(root, chunk, model.size, hashes)) for chunk in chunks])
    check_finite(vectors, paths)
    parquet.write(files.embeddings, {"id": [r["id"] for r in rows], "vector": parquet.vectors(vectors)})


if __name__ == "__main__":
    job.main(work, Embed, Files)
