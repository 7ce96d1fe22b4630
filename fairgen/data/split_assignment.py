"""The splits that fairgen makes where the data set has none, by fractions of its images, group by group."""

from collections import defaultdict
from typing import Any

from fairgen.core.errors import FairgenError
from fairgen.core.seeds import seed_of
from fairgen.data import duplicates
from fairgen.data.subset import SPLITS


def assign_splits(rows: list[dict[str, Any]], fractions: tuple[float, float, float], seed: int) -> None:
    """Fill in the split of rows without an official one, stratified by group; sets of duplicates stay
    together.

    The fractions are of images. A large set goes into training, so that it fills no other split, and so does
    a set with images of several groups, which would take from one group's share what belongs to another's.
    Where the data set has an official test split but no validation rows, those are cut from its training
    rows. A row without a split that (nearly) repeats a row with one gets that: a copy of a test image is no
    training image.
    """
    # official splits stay; a row without one that repeats a row with one gets that one's
    official = {r["split"] for r in rows} - {"", "shift"}
    if official and "test" not in official:
        raise FairgenError(
            f"the data set's own split has {', '.join(sorted(official))} but no test rows; name them in its"
            " labels"
        )
    given = {r["set"]: r["split"] for name in SPLITS for r in rows if r["split"] == name}
    for row in rows:
        row["split"] = row["split"] or given.get(row["set"], "")
    # the fractions are of the rows that are free: all of them, or the training rows
    train, validation, test = fractions
    free = {""}
    if official and "validation" not in official:
        free, train, validation, test = (
            {"", "train"},
            train / (train + validation),
            validation / (train + validation),
            0.0,
        )
    # sets of duplicates stay together, those of several groups in training
    sets: dict[str, dict[str, list]] = defaultdict(lambda: defaultdict(list))
    homes: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row["split"] in free:
            sets[row["group"]][row["set"]].append(row)
            homes[row["set"]].add(row["group"])
    for group, by_set in sets.items():
        # in random order, large sets first, sets go into training until it is full, then validation, test
        order = sorted(by_set, key=lambda s: (seed_of(seed, group, s), s))
        images = sum(map(len, by_set.values()))
        first = [s for s in order if len(homes[s]) > 1 or duplicates.is_large(len(by_set[s]), images)]
        before = sum(len(by_set[s]) for s in first)
        edges = round(train * images), round((train + validation) * images)
        if before > edges[0]:
            edges = before, before + round((images - before) * validation / (validation + test))
        places = dict.fromkeys(first, "train")
        for name in (s for s in order if s not in places):
            places[name] = (
                "train" if before < edges[0] else "validation" if before < edges[1] or not test else "test"
            )
            before += len(by_set[name])
        for name, split in places.items():
            for row in by_set[name]:
                row["split"] = split
