"""What the page's gallery shows: of each group and cluster some real images and some of each method's, kept
and left out, with all that is known of them. No image is read here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fairgen.core import parquet
from fairgen.core.evenly import evenly
from fairgen.report.shots import Shot, shown


@dataclass(frozen=True)
class Strip:
    """A method's images of one group and cluster: how many there are, those that are shown, and how many of
    all that were kept are near copies, beside the share of real images that are as similar to another one.
    """

    name: str
    drawn: int
    kept: int
    near: int  # of all kept ones
    unseen: int  # of these, near copies of images that the ratio leaves out of training
    shown: list[Shot]
    among_real: float | None = None  # where the audit could tell

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


def strip(name: str, shots: Sequence[Shot], count: int) -> Strip:
    """A method's images of one group and cluster, of which some are shown."""
    kept = [shot for shot in shots if not shot.reason]
    near = [shot for shot in kept if shot.near]
    unseen = sum(not shot.seen for shot in near)
    return Strip(name, len(shots), len(kept), len(near), unseen, shown(shots, count))


def beside_real(blocks: list[Block], shares: dict[str, dict[str, float | None]]) -> list[Block]:
    """The same, each strip with the share of near copies among its group's real images, by set and group."""

    def told(block: Block, one: Strip) -> Strip:
        return replace(one, among_real=shares.get(one.name, {}).get(block.group))

    return [replace(block, strips=[told(block, one) for one in block.strips]) for block in blocks]


def thinned(blocks: list[Block], count: int) -> list[Block]:
    """The same with no more than `count` images in a place."""

    def less(one: Strip) -> Strip:
        return replace(one, shown=shown(one.shown, count))

    return [replace(b, real=evenly(b.real, count), strips=[less(s) for s in b.strips]) for b in blocks]


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
    donor's, and all real images of the group stand beside each. Methods may differ in whether they borrow.
    """
    by_donor: dict[str, dict[str, list[Shot]]] = {}
    for name, own in drawn.items():
        if own:
            by_donor.setdefault(own[0].about["borrowed_from"], {})[name] = own
    found = []
    for donor, listed in sorted(by_donor.items()):
        seen = sorted({shot.cluster for own in listed.values() for shot in own})
        for cluster in seen:
            of = f" of {donor}, whose generators draw for this group" if donor else f" of {len(seen)}"
            real = rows if donor else [row for row in rows if members.get(row["id"]) == cluster]
            strips = [strip(n, [s for s in own if s.cluster == cluster], count) for n, own in listed.items()]
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
