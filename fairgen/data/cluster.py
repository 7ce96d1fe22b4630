"""Stage `cluster`: spherical k-means (faiss) inside each group's training images.

A group of which k clusters would not all have `min_images` images gets fewer, with the reason in the facts
and in the log. The facts also name the group's embedded validation images by the cluster that they are
closest to: what a generator's loss on images that it has not seen is of.
"""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairgen.core import job, parquet
from fairgen.core.errors import FairgenError
from fairgen.data.kmeans import agreements, clusters, nearest


@dataclass(frozen=True)
class Cluster:
    """Clusters per group, the fewest images that make one, and the seed and iterations of k-means."""

    k: int
    min_images: int
    seed: int
    iterations: int


@dataclass(frozen=True)
class Files(job.Files):
    """What a job reads and writes."""

    split: job.Input
    embeddings: job.Input
    clusters: job.Output


def work(settings: Cluster, files: Files) -> None:
    """Cluster every group and write the assignments."""
    parts: dict[str, list[dict[str, Any]]] = {"train": [], "validation": []}
    for row in parquet.rows(files.split):
        parts.get(row["split"], []).append(row)
    rows = parts["train"]
    # features of the rows that this ratio has left in training
    embedded = parquet.read(files.embeddings)
    place = {i: n for n, i in enumerate(embedded["id"].to_pylist())}
    vectors = parquet.matrix(embedded, "vector")
    if not np.isfinite(vectors).all():
        raise FairgenError(
            f"{files.embeddings}: features are not finite; delete the file and run embed again"
        )
    result: dict[str, list[Any]] = {"id": [], "group": [], "cluster": []}
    facts = {}
    for group in sorted({r["group"] for r in rows}):
        # k-means inside each group, with fewer clusters where it has few images
        own = [r for r in rows if r["group"] == group]
        features = vectors[[place[r["id"]] for r in own]]
        label = clusters(features, settings.k, settings.min_images, settings.seed, settings.iterations)
        k = int(label.max()) + 1
        unseen = [r["id"] for r in parts["validation"] if r["group"] == group and r["id"] in place]
        closest = nearest(features, label, vectors[[place[i] for i in unseen]])
        reason = (
            ""
            if k == settings.k
            else f"{len(own)} images carry {k} of {settings.k} clusters of {settings.min_images}"
        )
        sizes = [n for _, n in sorted(Counter(label.tolist()).items())]
        facts[group] = {
            "k": k,
            "reason": reason,
            "sizes": sizes,
            "nmi": agreements(label, [json.loads(r["detail"]) for r in own]),
        }
        job.log.info("group %s: %s", group, facts[group])
        facts[group]["held_out"] = [
            [i for i, own in zip(unseen, closest, strict=True) if own == number]
            for number in range(len(sizes))
        ]
        result["id"] += [r["id"] for r in own]
        result["group"] += [group] * len(own)
        result["cluster"] += label.tolist()
    parquet.write(files.clusters, result, facts)


if __name__ == "__main__":
    job.main(work, Cluster, Files)
