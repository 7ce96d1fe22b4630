"""What the page's gallery shows: of each group and cluster some real images and some of each method's, kept
and left out, with all that is known of them. No image is read here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fairgen.core import lineage, parquet
from fairgen.core.errors import FairgenError
from fairgen.report.evenly import evenly

OTHERS = 3  # one image that was left out for so many kept ones
CLOSE = 4  # of so many kept images one is among those closest to a training image
SAID = ("id", "prompt", "negative_prompt", "seed", "steps", "guidance", "borrowed_from")  # of samples


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
    real: str  # path of the closest training image
    real_hash: str
    real_group: str
    similarity: float
    near: bool  # similar enough to count as a near copy


@dataclass(frozen=True)
class Strip:
    """A method's images of one group and cluster: how many there are, and those that are shown."""

    name: str
    drawn: int
    kept: int
    shown: list[Shot]

    @property
    def others(self) -> list[Shot]:
        """The shown images that the filter left out."""
        return [shot for shot in self.shown if shot.reason]

    @property
    def chosen(self) -> list[Shot]:
        """The shown images that it kept."""
        return [shot for shot in self.shown if not shot.reason]


@dataclass(frozen=True)
class Block:
    """A group, or a cluster of it by some method's clustering: real training images, and a strip of each
    method that draws for it.
    """

    group: str
    cluster: str  # "" for the whole group
    title: str
    real: list[str]  # paths
    count: int  # of all its real training images
    strips: list[Strip] = field(default_factory=list)


@dataclass(frozen=True)
class Set:
    """A synthetic set: its method, those that train on it, the clusters of its generators, and its filter."""

    name: str
    methods: list[str]
    clusters: int
    by: str
    threshold: float


def some(shots: Sequence[Shot], count: int) -> list[Shot]:
    """Up to `count` images, the best score first: a quarter of them those closest to a training image, so
    that copies are seen, the others spread evenly over the scores.
    """
    closest = sorted(shots, key=lambda shot: -shot.similarity)[: count // CLOSE]
    ranked = sorted((s for s in shots if s not in closest), key=lambda shot: -shot.score)
    return sorted([*closest, *evenly(ranked, count - len(closest))], key=lambda shot: -shot.score)


def shown(shots: Sequence[Shot], count: int) -> list[Shot]:
    """Some kept images, and some that were left out."""
    kept, others = ([s for s in shots if bool(s.reason) is left] for left in (False, True))
    return [*some(kept, count), *evenly(sorted(others, key=lambda s: -s.score), -(-count // OTHERS))]


def strip(name: str, shots: Sequence[Shot], count: int) -> Strip:
    """A method's images of one group and cluster, of which some are shown."""
    return Strip(name, len(shots), sum(not shot.reason for shot in shots), shown(shots, count))


def thinned(blocks: list[Block], count: int) -> list[Block]:
    """The same with no more than `count` images in a place."""

    def less(one: Strip) -> Strip:
        return replace(one, shown=shown(one.shown, count))

    return [replace(b, real=evenly(b.real, count), strips=[less(s) for s in b.strips]) for b in blocks]


def shots(selection: Path, nearest: Path) -> dict[str, list[Shot]]:
    """The images of every group of a synthetic set, in the order of its files.

    Raises:
        FairgenError: the samples are not those that were selected from, or the closest images are those of
            others.
    """
    lineage.check_files(parquet.facts(selection).get("samples", {}))
    limit = parquet.facts(nearest)["similarity"]
    close = {row["id"]: row for row in parquet.rows(nearest)}
    found: dict[str, list[Shot]] = {}
    said: dict[str, list[dict[str, Any]]] = {}
    for row in parquet.rows(selection, ["id", "group", "cluster", "file", "score", "reason"]):
        own = found.setdefault(row["group"], [])
        drawn = said.get(row["file"]) or said.setdefault(
            row["file"], parquet.rows(Path(row["file"]), list(SAID))
        )
        if row["id"] not in close or drawn[len(own)]["id"] != row["id"]:
            raise FairgenError(
                f"{nearest}: it says nothing of {row['id']}; delete it and call snakemake again"
            )
        real = close[row["id"]]
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
        )
        own.append(shot)
    return found


def blocks(
    groups: list[str],
    trained: dict[str, list[dict[str, Any]]],
    drawn: dict[str, dict[str, list[Shot]]],
    clusters: dict[str, Path],
    count: int,
) -> list[Block]:
    """The gallery: of each group a block of the whole, then one of every cluster.

    Args:
        groups: in the config's order.
        trained: training rows of each group, with `id` and `path`.
        drawn: images of each set by group.
        clusters: file of clusters of the sets that have several in a group.
        count: images of a place.
    """
    members = {file: members_of(file) for file in dict.fromkeys(clusters.values())}
    found: list[Block] = []
    for group in groups:
        rows = trained.get(group, [])
        own = {name: of[group] for name, of in drawn.items() if group in of}
        split = [
            part
            for file, of in members.items()
            for part in cluster_blocks(
                group, rows, {n: s for n, s in own.items() if clusters.get(n) == file}, of, count
            )
        ]
        whole = [strip(name, shots, count) for name, shots in own.items() if name not in clusters]
        found += [block(group, "", "the whole group", rows, whole, count)] if whole or not split else []
        found += split
    return found


def cluster_blocks(
    group: str,
    rows: list[dict[str, Any]],
    drawn: dict[str, list[Shot]],
    members: dict[int, int],
    count: int,
) -> list[Block]:
    """A block of every cluster of a group; where a donor's generators have drawn, the clusters are the
    donor's, and all real images of the group stand beside each.
    """
    found = []
    donor = next((s.about["borrowed_from"] for own in drawn.values() for s in own), "")
    seen = sorted({shot.cluster for own in drawn.values() for shot in own})
    for cluster in seen:
        of = f" of {donor}, whose generators draw for this group" if donor else f" of {len(seen)}"
        real = rows if donor else [row for row in rows if members.get(row["id"]) == cluster]
        strips = [strip(n, [s for s in own if s.cluster == cluster], count) for n, own in drawn.items()]
        found.append(block(group, str(cluster), f"cluster {cluster}{of}", real, strips, count))
    return found


def block(
    group: str,
    cluster: str,
    title: str,
    rows: list[dict[str, Any]],
    strips: list[Strip],
    count: int,
) -> Block:
    """One block, with some of its real images."""
    return Block(group, cluster, title, [r["path"] for r in evenly(rows, count)], len(rows), strips)


def members_of(clusters: Path) -> dict[int, int]:
    """The cluster of every training image, by its id."""
    return {row["id"]: row["cluster"] for row in parquet.rows(clusters, ["id", "cluster"])}


def fitting(
    blocks: list[Block], count: int, size: Callable[[list[Block]], int], most: int
) -> tuple[list[Block], int]:
    """The blocks with as many images in a place as fit into `most` characters, one at least, and how many
    that are.
    """
    found = thinned(blocks, count)
    while size(found) > most and count > 1:
        count -= 1
        found = thinned(found, count)
    return found, count
