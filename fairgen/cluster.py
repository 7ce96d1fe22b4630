"""Stage `cluster`: spherical k-means (faiss) inside each group's training images.

A group with fewer than k × `min_images` images gets fewer clusters, with the reason in the facts and in the log.
"""

from collections import Counter
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from fairgen import job, tables
from fairgen.errors import FairgenError


@dataclass(frozen=True)
class Cluster:
    """Clusters per group, the fewest images that make one, and the seed and iterations of k-means."""

    k: int
    min_images: int
    seed: int
    iterations: int


def clusters_for(count: int, k: int, min_images: int) -> int:
    """How many clusters `count` images can carry, at least one."""
    return max(1, min(k, count // min_images))


def kmeans(vectors: np.ndarray, k: int, seed: int, iterations: int) -> np.ndarray:
    """Spherical k-means; (n, d) float32 to (n,) cluster numbers, the largest cluster first."""
    if k == 1:
        return np.zeros(len(vectors), dtype=np.int64)
    import faiss

    unit = np.ascontiguousarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12), dtype=np.float32)
    faiss.omp_set_num_threads(1)
    run = faiss.Kmeans(
        unit.shape[1],
        k,
        niter=iterations,
        nredo=3,
        spherical=True,
        seed=seed % 2**31,
        max_points_per_centroid=len(unit),
    )
    run.train(unit)
    label = run.index.search(unit, 1)[1][:, 0]
    order = np.argsort(-np.bincount(label, minlength=k), kind="stable")
    return np.argsort(order)[label]


def agreement(label: np.ndarray, truth: list[str]) -> float | None:
    """Normalised mutual information (arithmetic mean) of clusters with known finer classes; None where none is known."""
    names, codes = np.unique(truth, return_inverse=True)
    if len(names) < 2:
        return None
    joint = np.zeros((label.max() + 1, len(names)))
    np.add.at(joint, (label, codes), 1 / len(label))
    rows, columns = joint.sum(1), joint.sum(0)
    seen = joint > 0
    mutual = float((joint[seen] * np.log(joint[seen] / np.outer(rows, columns)[seen])).sum())
    entropy = -sum(float((p[p > 0] * np.log(p[p > 0])).sum()) for p in (rows, columns)) / 2
    return mutual / entropy if entropy else 0.0


def work(settings: Cluster, paths: SimpleNamespace) -> None:
    """Cluster every group and write the assignments."""
    rows = [r for r in tables.rows(paths.split) if r["split"] == "train"]
    embedded = tables.read(paths.embeddings)
    place = {i: n for n, i in enumerate(embedded["id"].to_pylist())}
    vectors = tables.matrix(embedded, "vector")
    if not np.isfinite(vectors).all():
        raise FairgenError(f"{paths.embeddings}: features are not finite; delete the file and run embed again")
    result = {"id": [], "group": [], "cluster": []}
    facts = {}
    for group in sorted({r["group"] for r in rows}):
        own = [r for r in rows if r["group"] == group]
        k = clusters_for(len(own), settings.k, settings.min_images)
        label = kmeans(vectors[[place[r["id"]] for r in own]], k, settings.seed, settings.iterations)
        reason = "" if k == settings.k else f"{len(own)} images carry {k} of {settings.k} clusters of {settings.min_images}"
        sizes = [n for _, n in sorted(Counter(label.tolist()).items())]
        facts[group] = {"k": k, "reason": reason, "sizes": sizes, "nmi": agreement(label, [r["detail"] for r in own])}
        job.log.info("group %s: %s", group, facts[group])
        result["id"] += [r["id"] for r in own]
        result["group"] += [group] * len(own)
        result["cluster"] += label.tolist()
    tables.write(paths.clusters, result, facts)


if __name__ == "__main__":
    job.main(work, Cluster, reads=["split", "embeddings"], writes=["clusters"])
