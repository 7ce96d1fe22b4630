"""Which images the page shows."""

from pathlib import Path

import looked_at
import pytest
from looked_at import COPY, EVIL, SETTINGS

from fairgen.report import gallery
from fairgen.report.evenly import evenly
from fairgen.report.gallery import Shot


def shot(score: float, similarity: float = 0.0, reason: str = "") -> Shot:
    """An image of which only this is known."""
    return Shot(Path("x"), 0, 0, score, reason, {}, "", "", "", similarity, False)


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [0]), (2, [0, 9]), (3, [0, 4, 9]), (10, [*range(10)]), (20, [*range(10)])]
)
def test_some_of_many_are_spread_from_first_to_last(count: int, expected: list[int]) -> None:
    assert evenly(range(10), count) == expected


def test_the_shown_are_the_closest_and_others_over_all_scores() -> None:
    many = [shot(i / 100, similarity=0.9 if i == 50 else 0.1) for i in range(100)]
    found = [one.score for one in gallery.some(many, 4)]
    assert found == sorted(found, reverse=True)
    assert {0.5, 0.99, 0.0} <= set(found) and len(found) == 4
    others = [shot(i / 100, reason="over quota") for i in range(50)]
    chosen = gallery.shown([*many, *others], 4)
    assert [bool(one.reason) for one in chosen] == [False] * 4 + [True] * 2


def test_groups_and_clusters_have_their_images(tmp_path: Path) -> None:
    files = looked_at.written(tmp_path)
    drawn = {
        one.name: gallery.shots(*pair)
        for one, pair in zip(SETTINGS.sets, zip(files.selections, files.nearest, strict=True), strict=True)
    }
    close = next(one for one in drawn["lora"]["a"] if one.about["id"] == COPY[0])
    assert (close.real, close.near, close.row, close.reason) == (COPY[1], True, 3, "")
    assert sum(one.near for own in drawn.values() for listed in own.values() for one in listed) == 1
    rows = [{"id": i, "path": f"{i}.png"} for i in range(14)]
    trained = {"a": rows[:12], EVIL: rows[12:]}
    found = gallery.blocks(SETTINGS.groups, trained, drawn, {"clustered": files.clusters[0]}, 4)
    about = [(block.group, block.cluster, [strip.name for strip in block.strips]) for block in found]
    assert about == [
        ("a", "", ["lora"]),
        ("a", "0", ["clustered"]),
        ("a", "1", ["clustered"]),
        (EVIL, "", ["lora"]),
        (EVIL, "0", ["clustered"]),
        (EVIL, "1", ["clustered"]),
    ]
    assert [block.count for block in found] == [12, 6, 6, 2, 2, 2]
    assert {int(path.split(".")[0]) % 2 for path in found[2].real} == {1}  # of the cluster
    assert found[5].real == ["12.png", "13.png"]  # the group's own, as the cluster is the donor's
    assert (found[1].strips[0].drawn, found[1].strips[0].kept) == (6, 4)
    assert all(one.cluster == 1 for one in found[2].strips[0].shown)


def test_a_group_of_clusters_alone_has_no_block_of_the_whole(tmp_path: Path) -> None:
    files = looked_at.written(tmp_path)
    drawn = {"clustered": gallery.shots(files.selections[1], files.nearest[1])}
    found = gallery.blocks(["a"], {"a": []}, drawn, {"clustered": files.clusters[0]}, 4)
    assert [(block.cluster, block.count) for block in found] == [("0", 0), ("1", 0)]
    assert [block.cluster for block in gallery.blocks(["a"], {"a": []}, {}, {}, 4)] == [""]


def test_as_many_images_as_fit() -> None:
    strip = gallery.strip("lora", [shot(i / 20) for i in range(20)], 9)
    block = gallery.Block("a", "", "", [str(i) for i in range(9)], 9, [strip])

    def size(blocks: list[gallery.Block]) -> int:
        return sum(len(b.real) + len(b.strips[0].shown) for b in blocks)

    (found,), count = gallery.fitting([block], 9, size, 11)
    assert (count, len(found.real), len(found.strips[0].shown)) == (5, 5, 5)
    assert found.strips[0].drawn == 20
    (found,), count = gallery.fitting([block], 9, size, 0)  # one at least
    assert (count, len(found.real)) == (1, 1)
    assert gallery.fitting([block], 9, size, 100) == ([block], 9)
