"""The splits, and nested random subsets of their rows."""

from collections import Counter
from typing import Any

from fairgen.core.seeds import seed_of

ANY = "any"  # the scope of what all bias ratios share
SPLITS = ("train", "validation", "test", "shift")  # shift: a second test set, which few data have


def cut(rows: list[dict[str, Any]], quota: dict[str, int], seed: int) -> list[dict[str, Any]]:
    """Keep the first `quota` rows of each group in a fixed random order, so that smaller subsets are nested
    in larger.
    """
    ordered = sorted(rows, key=lambda r: (seed_of(seed, r["id"]), r["id"]))
    taken: Counter = Counter()
    kept = []
    for row in ordered:
        taken[row["group"]] += 1
        if taken[row["group"]] <= quota.get(row["group"], len(rows)):
            kept.append(row)
    return sorted(kept, key=lambda r: r["id"])
