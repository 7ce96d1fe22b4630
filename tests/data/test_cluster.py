"""Clusters inside a group."""

import numpy as np
import pytest

from fairgen.core.errors import FairgenError
from fairgen.data.embed import check_finite
from fairgen.data.kmeans import agreement, agreements, clusters_for, kmeans


def test_planted_clusters_are_found_largest_first() -> None:
    rng = np.random.default_rng(0)
    centres = np.eye(3, 8) * 5
    truth = np.repeat([0, 1, 2], [20, 50, 30])
    vectors = (centres[truth] + rng.normal(0, 0.3, (100, 8))).astype(np.float32)
    label = kmeans(vectors, 3, 0, 25)
    assert agreement(label, [str(t) for t in truth]) == pytest.approx(1)
    assert np.bincount(label).tolist() == [50, 30, 20]
    assert np.array_equal(label, kmeans(vectors, 3, 0, 25))


def test_small_groups_get_fewer_clusters() -> None:
    assert [clusters_for(n, 4, 10) for n in (3, 19, 25, 400)] == [1, 1, 2, 4]


def test_agreement_is_zero_for_independent_labels_and_none_without_classes() -> None:
    assert agreement(np.array([0, 1, 0, 1]), ["a", "a", "b", "b"]) == pytest.approx(0)
    assert agreement(np.array([0, 1]), ["", ""]) is None


def test_agreement_is_told_for_each_thing_that_is_known_and_varies() -> None:
    known = [{"look": "a", "species": "x", "place": "p"}, {"look": "b", "species": "x", "place": ""}]
    found = agreements(np.array([0, 1]), known)
    assert found == {"look": pytest.approx(1), "place": pytest.approx(1)}
    assert agreements(np.array([0, 1]), [{}, {}]) == {}


def test_features_that_are_not_finite_name_the_images() -> None:
    vectors = np.ones((3, 4), dtype=np.float32)
    vectors[1, 2] = np.nan
    with pytest.raises(FairgenError, match=r"1 images have features that are not finite \(b.jpg\)"):
        check_finite(vectors, ["a.jpg", "b.jpg", "c.jpg"])
