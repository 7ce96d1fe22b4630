"""The images of a synthetic set as the page's gallery has them, and which of them it shows. No image is read
here.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairgen.core import lineage, parquet
from fairgen.core.errors import FairgenError
from fairgen.core.evenly import evenly

OTHERS = 3  # one image that was left out for so many kept ones
CLOSE = 4  # of so many kept images one is among those closest to a training image
SAID = ("id", "prompt", "negative_prompt", "seed", "steps", "guidance", "borrowed_from")  # of samples
UNKNOWN = {"real": "", "real_hash": "", "real_group": "", "similarity": -2.0}  # below every cosine


@dataclass(frozen=True)
class Shot:
    """A generated image: where it lies, what the filter made of it, how it was drawn, and the training image
    closest to it.
    """

    file: Path
    row: int
    cluster: int
    score: float
    reason: str  # why it was left out, "" if it was kept
    about: dict[str, Any]  # SAID
    real: str  # path of the closest training image; "" for a left-out image that the audit has not looked at
    real_hash: str
    real_group: str
    similarity: float
    near: bool  # similar enough to count as a near copy
    seen: bool  # whether that image is a training row at this ratio, which may cut it away


def close(count: int) -> int:
    """How many of so many images are those closest to a training image: a quarter, one at least."""
    return max(1, count // CLOSE)


def some(shots: Sequence[Shot], count: int) -> list[Shot]:
    """Up to `count` images, the best score first: `close` of them those closest to a training image, so that
    copies are seen, the others spread evenly over the scores.
    """
    closest = sorted(shots, key=lambda shot: -shot.similarity)[: close(count)]
    ranked = sorted((s for s in shots if s not in closest), key=lambda shot: -shot.score)
    return sorted([*closest, *evenly(ranked, count - len(closest))], key=lambda shot: -shot.score)


def shown(shots: Sequence[Shot], count: int) -> list[Shot]:
    """Some kept images, and some that were left out, of those whose closest training image is known."""
    known = [shot for shot in shots if shot.real]
    kept, others = ([s for s in known if bool(s.reason) is left] for left in (False, True))
    return [*some(kept, count), *evenly(sorted(others, key=lambda s: -s.score), -(-count // OTHERS))]


def shots(selection: Path, nearest: Path, trained: Collection[str]) -> dict[str, list[Shot]]:
    """The images of every group of a synthetic set, in the order of its files.

    Args:
        selection: file of the set.
        nearest: the training image closest to each.
        trained: paths of the training rows at this ratio.

    Raises:
        FairgenError: the samples are not those that were selected from, or the closest images are those of
            others.
    """
    lineage.check_files(parquet.facts(selection).get("samples", {}))
    limit = parquet.facts(nearest)["similarity"]
    near = {row["id"]: row for row in parquet.rows(nearest)}
    found: dict[str, list[Shot]] = {}
    said: dict[str, list[dict[str, Any]]] = {}
    for row in parquet.rows(selection, ["id", "group", "cluster", "file", "score", "kept", "reason"]):
        own = found.setdefault(row["group"], [])
        drawn = said.get(row["file"]) or said.setdefault(
            row["file"], parquet.rows(Path(row["file"]), list(SAID))
        )
        if (row["kept"] and row["id"] not in near) or drawn[len(own)]["id"] != row["id"]:
            raise FairgenError(
                f"{nearest}: it says nothing of {row['id']}; delete it and give the same command again"
            )
        real = near.get(row["id"], UNKNOWN)
        shot = Shot(
            file=Path(row["file"]),
            row=len(own),
            cluster=row["cluster"],
            score=row["score"],
            reason=row["reason"],
            about=drawn[len(own)],
            real=real["real"],
            real_hash=real["real_hash"],
            real_group=real["real_group"],
            similarity=real["similarity"],
            near=real["similarity"] >= limit,
            seen=real["real"] in trained,
        )
        own.append(shot)
    return found
