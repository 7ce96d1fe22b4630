"""Linear probes from one side to the other, on features whose answer is known."""

import pytest
import torch

from fairgen.evaluate import transfer

CLASSES = {"land-near": "land", "land-far": "land", "water": "water"}
APART = {name: range(100) for name in CLASSES}  # no copies
PLACES = {"land-near": (-3.0, 0.0), "land-far": (-3.0, 4.0), "water": (3.0, 0.0)}


def side(n: int, seed: int, **moved: tuple[float, float]) -> dict[str, torch.Tensor]:
    """Features around each group's place, or where it has moved to."""
    generator = torch.Generator().manual_seed(seed)
    places = {**PLACES, **{name.replace("_", "-"): place for name, place in moved.items()}}
    return {
        name: torch.tensor(p) + 0.5 * torch.randn(n, 2, generator=generator) for name, p in places.items()
    }


def test_the_probe_is_the_minimum_of_its_loss() -> None:
    """Two points of two classes at ±1: the weight w solves σ(−2w) = penalty · w, by symmetry."""
    rows = {"a": torch.tensor([[-1.0]]), "b": torch.tensor([[1.0]])}
    weight = transfer.fit(rows, {"a": 0, "b": 1}, 0.1).weight
    w = float(weight[1, 0])
    assert float(weight[0, 0]) == pytest.approx(-w)
    assert 1 / (1 + torch.tensor(2 * w).exp()) == pytest.approx(0.1 * w, rel=1e-4)
    assert weight[:, 1].tolist() == pytest.approx([0, 0], abs=1e-6)


def test_groups_count_alike_however_many_images_they_have() -> None:
    rows = side(40, 0)
    more = {**rows, "water": rows["water"].repeat(7, 1)}
    target = {"land-near": 0, "land-far": 0, "water": 1}
    one, other = (transfer.fit(found, target, 0.01) for found in (rows, more))
    points = torch.cat([*side(50, 3).values()])
    assert (one(points) == other(points)).double().mean() > 0.97


def test_sets_of_one_distribution_teach_each_other() -> None:
    found = transfer.two_way(side(100, 0), side(80, 1), CLASSES, 10, 0.01, APART)
    assert all(value > 0.98 for own in found.values() for value in (own[way] for way in transfer.WAYS))
    assert all(own["null_because"] is None for own in found.values())
    assert found == transfer.two_way(side(100, 0), side(80, 1), CLASSES, 10, 0.01, APART)


def test_a_group_that_looks_like_the_other_class_is_seen_in_its_own_figure() -> None:
    found = transfer.two_way(side(100, 0), side(100, 1, land_far=(3.0, 4.0)), CLASSES, 10, 0.01, APART)
    assert found["land-far"]["real_to_synthetic"] < 0.1
    for name in ("land-near", "water"):
        assert found[name]["real_to_synthetic"] > 0.95
    assert all(own["real_to_real"] > 0.98 for own in found.values())


def test_generated_images_of_swapped_classes_teach_nothing() -> None:
    swapped = side(100, 1, land_near=PLACES["water"], land_far=(3.0, 4.0), water=PLACES["land-near"])
    found = transfer.two_way(side(100, 0), swapped, CLASSES, 10, 0.01, APART)
    assert all(own["synthetic_to_real"] < 0.05 and own["real_to_synthetic"] < 0.05 for own in found.values())


def test_groups_with_few_images_are_null_with_the_reason() -> None:
    generated = side(100, 1)
    generated["land-far"] = generated["land-far"][:9]
    found = transfer.two_way(side(100, 0), generated, CLASSES, 10, 0.01, APART)
    assert [found["land-far"][way] for way in transfer.WAYS] == [None] * 3
    assert found["land-far"]["null_because"] == "fewer images than audit.min_images on a side"
    assert found["water"]["real_to_synthetic"] > 0.95
    generated["water"] = generated["water"][:9]
    found = transfer.two_way(side(100, 0), generated, CLASSES, 10, 0.01, APART)
    assert all(own["null_because"].startswith("fewer than two classes") for own in found.values())
    assert all(own[way] is None for own in found.values() for way in transfer.WAYS)


def test_copies_alone_have_no_halves() -> None:
    """Frames of one film: their figure is missing, the other ways are there."""
    sets = {**APART, "land-far": [0] * 100}
    found = transfer.two_way(side(100, 0), side(80, 1), CLASSES, 10, 0.01, sets)
    assert found["land-far"]["real_to_real"] is None
    assert found["land-far"]["null_because"] == transfer.COPIES
    assert found["land-far"]["real_to_synthetic"] > 0.98
    assert found["land-near"]["real_to_real"] > 0.98
    every = {name: [0] * 100 for name in CLASSES}
    found = transfer.two_way(side(100, 0), side(80, 1), CLASSES, 10, 0.01, every)
    assert all(own["real_to_real"] is None and own["synthetic_to_real"] > 0.98 for own in found.values())


def test_copies_stay_in_one_half() -> None:
    """Without copies it is every other row."""
    rows = {"a": torch.arange(6.0)[:, None]}
    first, second = transfer.halves(rows, {"a": [7, 8, 7, 9, 9, 5]})
    assert first["a"].flatten().tolist() == [0, 2, 3, 4]
    assert second["a"].flatten().tolist() == [1, 5]
    first, second = transfer.halves(rows, {"a": range(6)})
    assert (first["a"].flatten().tolist(), second["a"].flatten().tolist()) == ([0, 2, 4], [1, 3, 5])
