"""Spherical k-means (faiss) with clusters of so many images at least, and their agreement with what else is
known of the images.
"""

import numpy as np


def clusters(vectors: np.ndarray, k: int, min_images: int, seed: int, iterations: int) -> np.ndarray:
    """The cluster numbers (n,) of vectors (n, d), the largest cluster first: k clusters, or as many fewer as
    it takes for each to have `min_images`; one in any case.
    """
    for fewer in range(clusters_for(len(vectors), k, min_images), 1, -1):
        label = kmeans(vectors, fewer, seed, iterations)
        if np.bincount(label, minlength=fewer).min() >= min_images:
            return label
    return np.zeros(len(vectors), dtype=np.int64)


def clusters_for(count: int, k: int, min_images: int) -> int:
    """How many clusters `count` images can carry at most, at least one."""
    return max(1, min(k, count // min_images))


def kmeans(vectors: np.ndarray, k: int, seed: int, iterations: int) -> np.ndarray:
    """Spherical k-means; (n, d) float32 to (n,) cluster numbers, the largest cluster first."""
    if k == 1:
        return np.zeros(len(vectors), dtype=np.int64)
    import faiss

    unit = directions(vectors)
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


def directions(vectors: np.ndarray) -> np.ndarray:
    """Vectors (n, d) scaled to length 1, float32."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
    return np.ascontiguousarray(vectors / length, dtype=np.float32)


def nearest(vectors: np.ndarray, label: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The clusters (m,) that other vectors (m, d) are closest to, by the angle to the means of the clustered
    ones (n, d) with their cluster numbers (n,).
    """
    unit = directions(vectors)
    means = np.stack([unit[label == number].mean(0) for number in range(label.max() + 1)])
    return (directions(others) @ directions(means).T).argmax(1)


def agreements(label: np.ndarray, known: list[dict[str, str]]) -> dict[str, float]:
    """Agreement of clusters (n,) with each thing that is known of the images and varies among them, by its
    name.
    """
    names = sorted({name for one in known for name in one})
    found = {name: agreement(label, [one.get(name, "") for one in known]) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def agreement(label: np.ndarray, truth: list[str]) -> float | None:
    """Normalised mutual information (arithmetic mean) of clusters with the truth; None where that is one for
    all.
    """
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
