"""Identical and near-identical images: sets of them, and what becomes of their members.

Identical means the same bytes. Near-identical means perceptual hashes (pHash of 256 bits, from the ImageHash package)
within a number of bits of each other: re-encoded, scaled or slightly retouched copies of one photograph.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np

from fairgen.formats import Reject

HASH_SIZE = 16  # of the perceptual hash: 16 × 16 bits
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


def near_pairs(hashes: list[bytes], bits: int, chunk: int = 4096) -> list[tuple[int, int]]:
    """Pairs of positions whose hashes differ in at most `bits` bits, by exact search."""
    import faiss

    codes = np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(len(hashes), -1)
    index = faiss.IndexBinaryFlat(codes.shape[1] * 8)
    index.add(codes)
    pairs = []
    for start in range(0, len(codes), chunk):
        limits, _, found = index.range_search(codes[start : start + chunk], bits + 1)
        for i in range(len(limits) - 1):
            here = start + i
            pairs += [(here, int(other)) for other in found[limits[i] : limits[i + 1]] if other > here]
    return pairs


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
    """Give each row its `set`: the id of the first of all images that are identical or near-identical to it."""
    links = [(same[0], other) for same in groups_of(r["hash"] for r in rows) for other in same[1:]]
    if near and rows:
        firsts = sorted({r["hash"]: i for i, r in reversed(list(enumerate(rows)))}.values())
        pairs = near_pairs([rows[i]["perceptual"] for i in firsts], near)
        links += [(firsts[a], firsts[b]) for a, b in pairs]
    for row, first in zip(rows, connect(len(rows), links), strict=True):
        row["set"] = rows[first]["id"]


def labels_of(rows: Rows) -> list[str]:
    """The different labels of some rows, in words."""
    return sorted({" | ".join(r[key] or "a value that is not asked for" for key in ("target", "bias")) for r in rows})


def conflicts(rows: Rows) -> tuple[Rows, list[Reject]]:
    """Leave out every identical image whose copies have different labels."""
    clash = {}
    for same in groups_of(r["hash"] for r in rows):
        found = labels_of([rows[i] for i in same])
        if len(found) > 1:
            clash |= {rows[i]["path"]: f"identical image with conflicting labels: {'; '.join(found)}" for i in same}
    rejects = [Reject(path, why, malformed=False) for path, why in clash.items()]
    return [r for r in rows if r["path"] not in clash], rejects


def copies(rows: Rows) -> tuple[Rows, list[Reject]]:
    """Keep one of each set of identical images with the same labels inside one split: the first by path."""
    rejects, first = [], {}
    for row in sorted(rows, key=lambda r: r["path"]):
        kept = first.setdefault((row["hash"], row["target"], row["bias"], row["split"]), row["path"])
        if kept != row["path"]:
            rejects.append(Reject(row["path"], f"copy of an image that is kept: {kept}", malformed=False))
    dropped = {r.file for r in rejects}
    return [r for r in rows if r["path"] not in dropped], rejects
