"""Which images the page shows."""

from dataclasses import replace
from pathlib import Path

import looked_at
import pytest
from looked_at import COPY, EVIL, SETTINGS

from fairgen.core import parquet
from fairgen.core.evenly import evenly
from fairgen.report import gallery, shots
from fairgen.report.shots import Shot

PATHS = [f"{i}.png" for i in range(14)]  # of the training rows


def shot(score: float, similarity: float = 0.0, reason: str = "") -> Shot:
    """An image of which only this is known."""
    return Shot(Path("x"), 0, 0, score, reason, {}, "x.png", "", "", similarity, False, True)


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [0]), (2, [0, 9]), (3, [0, 4, 9]), (10, [*range(10)]), (20, [*range(10)])]
)
def test_some_of_many_are_spread_from_first_to_last(count: int, expected: list[int]) -> None:
    assert evenly(range(10), count) == expected


def test_the_shown_are_the_closest_and_others_over_all_scores() -> None:
    many = [shot(i / 100, similarity=0.9 if i == 50 else 0.1) for i in range(100)]
    found = [one.score for one in shots.some(many, 4)]
    assert found == sorted(found, reverse=True)
    assert {0.5, 0.99, 0.0} <= set(found) and len(found) == 4
    others = [shot(i / 100, reason="over quota") for i in range(50)]
    chosen = shots.shown([*many, *others], 4)
    assert [bool(one.reason) for one in chosen] == [False] * 4 + [True] * 2


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_also_of_few_images_one_is_the_closest(count: int) -> None:
    many = [shot(i / 100, similarity=0.9 if i == 50 else 0.1) for i in range(100)]
    assert 0.5 in [one.score for one in shots.some(many, count)]
    assert len(shots.some(many, count)) == count and shots.close(count) == 1


def test_near_copies_are_counted_of_all_kept_images_not_of_the_shown() -> None:
    many = [replace(shot(i / 100), near=i < 9) for i in range(20)]
    out = [replace(shot(0.0, reason="low"), near=True)]
    block = gallery.Block("a", "", "", [], 0, [gallery.strip("lora", [*many, *out], 2)])
    (found,) = gallery.beside_real([block], {"lora": {"a": 0.25}})
    (strip,) = found.strips
    assert (strip.near, strip.kept, len(strip.chosen), strip.among_real) == (9, 20, 2, 0.25)
    assert gallery.beside_real([block], {})[0].strips[0].among_real is None


def test_a_left_out_image_that_the_audit_has_not_looked_at_is_counted_not_shown(tmp_path: Path) -> None:
    files = looked_at.written(tmp_path)
    table = parquet.read(files.nearest[0])
    known = [name not in ("a/0/2", "a/0/5") for name in table["id"].to_pylist()]  # left out both
    parquet.write(files.nearest[0], table.filter(known), parquet.facts(files.nearest[0]))
    strip = gallery.strip("lora", shots.shots(files.selections[0], files.nearest[0], PATHS)["a"], 12)
    assert (strip.drawn, strip.kept, len(strip.chosen)) == (12, 8, 8)
    assert [one.about["id"] for one in strip.others] == ["a/0/8", "a/0/11"]


def test_each_strip_stands_below_the_donor_that_drew_it() -> None:
    own, lent = ([replace(shot(0.5), about={"borrowed_from": donor})] for donor in ("", "b"))
    found = gallery.cluster_blocks("a", [{"id": 1, "path": "1.png"}], {"x": own, "y": lent}, {1: 0}, 4)
    assert [(block.title, [s.name for s in block.strips]) for block in found] == [
        ("cluster 0 of 1", ["x"]),
        ("cluster 0 of b, whose generators draw for this group", ["y"]),
    ]


def test_groups_and_clusters_have_their_images(tmp_path: Path) -> None:
    files = looked_at.written(tmp_path)
    drawn = {
        one.name: shots.shots(*pair, PATHS)
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
    drawn = {"clustered": shots.shots(files.selections[1], files.nearest[1], PATHS)}
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


def test_near_copies_of_images_that_the_ratio_leaves_out_are_counted_apart(tmp_path: Path) -> None:
    """No generator has seen them."""
    files = looked_at.written(tmp_path)
    others = [path for path in PATHS if path != COPY[1]]
    for trained, unseen in ((PATHS, 0), (others, 1)):
        drawn = shots.shots(files.selections[0], files.nearest[0], trained)["a"]
        strip = gallery.strip("lora", drawn, 12)
        assert (strip.near, strip.unseen) == (1, unseen)
