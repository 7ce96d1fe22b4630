"""Identical and near-identical images: sets of them, and what becomes of their members.

Identical means the same bytes. Near-identical means perceptual hashes (pHash of 256 bits, from the ImageHash
package) within a number of bits of each other: re-encoded, scaled or slightly retouched copies of one
photograph.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np

from fairgen.data.formats import Reject

HASH_SIZE = 16  # of the perceptual hash: 16 × 16 bits
PAIRS = 1_000_000  # pairs of near images that the search holds at a time
NEAR = "near-identical"  # begins the reason of a near-identical image that is left out
Rows = list[dict[str, Any]]


def perceptual_hash(image: Any) -> bytes:
    """256 bits that similar images share."""
    import imagehash

    return np.packbits(imagehash.phash(image, hash_size=HASH_SIZE).hash).tobytes()


def groups_of(keys: Iterable[Hashable]) -> list[list[int]]:
    """Positions that have the same key, for keys that occur more than once."""
    places = defaultdict(list)
    for i, key in enumerate(keys):
        places[key].append(i)
    return [found for found in places.values() if len(found) > 1]


def near_sets(hashes: list[bytes], bits: int, pairs: int = PAIRS) -> list[int]:
    """Sets of hashes that are linked by steps of at most `bits` bits: the lowest position in each position's
    set, by exact search.

    Every pair is looked at, but hardly more than `pairs` of them are held at a time: memory is linear in the
    number of hashes even where all of them are alike.
    """
    import faiss

    codes = np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(len(hashes), -1)
    index = faiss.IndexBinaryFlat(codes.shape[1] * 8)
    index.add(codes)
    sets, links, waiting, step = np.arange(len(codes)), [], 0, max(1, pairs // len(codes))
    for start in range(0, len(codes), step):
        limits, _, found = index.range_search(codes[start : start + step], bits + 1)
        here, there = np.repeat(sets[start : start + step], np.diff(limits.astype(np.int64))), sets[found]
        links.append(np.stack([here, there])[:, here != there])
        waiting += links[-1].shape[1]
        if waiting > pairs // 4 or start + step >= len(codes):
            sets, links, waiting = joined(sets, links), [], 0
    _, first, number = np.unique(sets, return_index=True, return_inverse=True)
    return first[number].tolist()


def joined(sets: np.ndarray, links: list[np.ndarray]) -> np.ndarray:
    """The set numbers (n,) of n positions after some links (2, m) between set numbers below n."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = np.concatenate(links, axis=1)
    graph = coo_array((np.ones(ends.shape[1], dtype=bool), (ends[0], ends[1])), shape=(len(sets), len(sets)))
    return connected_components(graph, directed=False)[1][sets]


def connect(count: int, links: Iterable[tuple[int, int]]) -> list[int]:
    """Connected components: the lowest member of each position's set (union-find)."""
    root = list(range(count))

    def find(i: int) -> int:
        while root[i] != i:
            root[i] = root[root[i]]
            i = root[i]
        return i

    for a, b in links:
        low, high = sorted((find(a), find(b)))
        root[high] = low
    return [find(i) for i in range(count)]


def mark_sets(rows: Rows, near: int) -> None:
    """Give each row its `set`: the id of the first of all images that are identical or near-identical to
    it.
    """
    links = [(same[0], other) for same in groups_of(r["hash"] for r in rows) for other in same[1:]]
    if near and rows:
        firsts = sorted({r["hash"]: i for i, r in reversed(list(enumerate(rows)))}.values())
        lowest = near_sets([rows[i]["perceptual"] for i in firsts], near)
        links += [(firsts[a], firsts[b]) for a, b in enumerate(lowest)]
    for row, first in zip(rows, connect(len(rows), links), strict=True):
        row["set"] = rows[first]["id"]


def repeating(rows: Rows, others: Rows, near: int) -> set[int]:
    """Ids of the rows of an index that are identical or near-identical to one of another index, directly or
    by steps.
    """
    both = [
        {"id": i, "hash": r["hash"], "perceptual": r["perceptual"]} for i, r in enumerate([*others, *rows])
    ]
    mark_sets(both, near)
    taken = {row["set"] for row in both[: len(others)]}
    return {row["id"] for row, found in zip(rows, both[len(others) :], strict=True) if found["set"] in taken}


def is_large(count: int, among: int) -> bool:
    """Whether a set of images that stay together is much of what it is a part of: over a twentieth, and over
    ten.
    """
    return count > max(10, 0.05 * among)


def labels_in_words(target: str | None, bias: str | None) -> str:
    """The labels of an image; None stands for a value that the config does not ask for."""
    return " | ".join(value or "a value that is not asked for" for value in (target, bias))


def labels_of(rows: Rows) -> list[str]:
    """The different labels of some rows, in words."""
    return sorted({labels_in_words(r["target"], r["bias"]) for r in rows})


def clashes(rows: Rows, key: str, kind: str) -> dict[str, str]:
    """Images that share `key` with an image of other labels, with the reason why they are left out."""
    clash: dict[str, str] = {}
    for same in groups_of(r[key] for r in rows):
        found = labels_of([rows[i] for i in same])
        if len(found) > 1:
            clash |= {
                rows[i]["path"]: f"{kind} image with conflicting labels: {'; '.join(found)}" for i in same
            }
    return clash


def conflicts(rows: Rows, near: bool = False) -> tuple[Rows, list[Reject]]:
    """Leave out every identical image whose copies have different labels; with `near`, every set of
    near-identical ones too.
    """
    clash = (clashes(rows, "set", NEAR) if near else {}) | clashes(rows, "hash", "identical")
    rejects = [Reject(path, why, malformed=False) for path, why in clash.items()]
    return [r for r in rows if r["path"] not in clash], rejects


def copies(rows: Rows) -> tuple[Rows, list[Reject]]:
    """Keep one of each set of identical images with the same labels inside one split: the first by path."""
    rejects: list[Reject] = []
    first: dict[tuple[Any, ...], str] = {}
    for row in sorted(rows, key=lambda r: r["path"]):
        kept = first.setdefault((row["hash"], row["target"], row["bias"], row["split"]), row["path"])
        if kept != row["path"]:
            rejects.append(Reject(row["path"], f"copy of an image that is kept: {kept}", malformed=False))
    dropped = {r.file for r in rejects}
    return [r for r in rows if r["path"] not in dropped], rejects
