"""Distances between sets of features whose answer is known."""

import math

import pytest
import torch
from torch.nn import functional as F

from fairgen.evaluate import fidelity


def cloud(n: int, seed: int, centre: int = 0, spread: float = 0.3, d: int = 8) -> torch.Tensor:
    """Unit vectors around one axis."""
    noise = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    return F.normalize(F.one_hot(torch.tensor(centre), d) + spread * noise, dim=1)


def test_squared_mmd_by_hand() -> None:
    """Two pairs of unit vectors: inside each pair the kernel is (0 + 1)³, across the pairs its mean is
    4.5.
    """
    x, axes = torch.eye(2), torch.eye(2)
    across = (8 + 8 + 1 + 1) / 4
    assert fidelity.squared_mmd(x, axes) == pytest.approx(1 + 1 - 2 * across)
    assert fidelity.squared_mmd(x, -axes) == pytest.approx(1 + 1 - 2 * (0 + 0 + 1 + 1) / 4)


def test_the_kernel_distance_is_zero_for_one_distribution_and_grows_with_the_shift() -> None:
    real = cloud(400, 0)
    same, far = (fidelity.kernel_distance(real, cloud(400, 1, c), 20, 100, 0) for c in (0, 1))
    assert abs(same["mean"]) < 3 * same["sd"]
    assert far["mean"] > 20 * same["sd"]
    assert same == fidelity.kernel_distance(real, cloud(400, 1), 20, 100, 0)
    assert fidelity.kernel_distance(real, cloud(50, 1), 20, 100, 0)["block_size"] == 25


def test_precision_falls_with_strangers_and_recall_with_missing_modes() -> None:
    both = torch.cat([cloud(100, 0, 0), cloud(100, 1, 1)])
    one = cloud(200, 2, 0)
    precision, recall = fidelity.precision_recall(both, one, 3)
    assert precision > 0.7
    assert 0.35 < recall < 0.55
    precision, recall = fidelity.precision_recall(one, both, 3)
    assert 0.35 < precision < 0.55
    assert recall > 0.7


def test_density_and_coverage_by_hand() -> None:
    """Real points 0, 1, 2 and 10 on a line reach 1, 1, 1 and 8 far at k = 1. A generated point at 0.5 lies in
    the balls of 0 and 1, one at 3 in those of 2 and 10, one at 30 in none.
    """
    real, generated = (torch.tensor(x)[:, None] for x in ([0.0, 1.0, 2.0, 10.0], [0.5, 3.0, 30.0]))
    assert fidelity.density_coverage(real, generated, 1) == (pytest.approx(4 / 3), 1.0)
    assert fidelity.density_coverage(real, generated[2:], 1) == (0, 0)
    # at k = 2 the balls reach 2, 1, 2 and 9: 0.5 lies in those of 0, 1 and 2, and 3 in those of 2 and 10
    assert fidelity.density_coverage(real, generated[:2], 2) == (pytest.approx((3 + 2) / 2 / 2), 1.0)
    assert fidelity.density_coverage(real, generated[1:2], 2) == (pytest.approx(2 / 2), 0.5)


def test_an_outlier_among_the_real_images_lifts_precision_and_not_density() -> None:
    """A far real image makes a neighbourhood as wide as all strangers."""
    real, strangers = torch.cat([cloud(99, 0), -cloud(1, 1)]), cloud(100, 2, 3)
    precision, _ = fidelity.precision_recall(real, strangers, 3)
    density, coverage = fidelity.density_coverage(real, strangers, 3)
    assert precision > 0.7
    assert density < 0.4
    assert coverage < 0.1


def test_coverage_of_one_distribution_is_that_of_its_expectation() -> None:
    """1 - (n - 1)…(n - k) / (2n - 1)…(2n - k), about 1 - 2⁻ᵏ."""
    for k, expected in ((1, 0.5), (3, 0.876), (5, 0.970)):
        found = [fidelity.density_coverage(cloud(300, i), cloud(300, 50 + i), k) for i in range(4)]
        density, coverage = (sum(values) / 4 for values in zip(*found, strict=True))
        assert coverage == pytest.approx(expected, abs=0.03)
        assert density == pytest.approx(1, abs=0.15)


def test_the_vendi_score_is_the_effective_number_of_images() -> None:
    assert fidelity.vendi(torch.eye(5)) == pytest.approx(5)
    assert fidelity.vendi(torch.eye(5).repeat(7, 1)) == pytest.approx(5)
    assert fidelity.vendi(torch.eye(5)[[0] * 9]) == pytest.approx(1)
    shares = torch.tensor([0.75, 0.25])
    assert fidelity.vendi(torch.eye(2)[[0, 0, 0, 1]]) == pytest.approx(
        math.exp(-(shares * shares.log()).sum())
    )


def test_the_nearest_row_and_the_nearest_other_row() -> None:
    among = F.normalize(torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]), dim=1).repeat(1, 1)
    cosine, number = fidelity.nearest(torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(300, 1), among)
    assert number.tolist() == [2, 0] * 300
    assert cosine.tolist() == pytest.approx([1.0] * 600)
    cosine, number = fidelity.nearest(among, among, torch.arange(3))
    assert number.tolist() == [1, 0, 1]
    assert cosine[2] == pytest.approx(0.1 / math.hypot(0.9, 0.1))
