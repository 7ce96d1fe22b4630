"""Clusters inside a group."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fairgen.core import parquet
from fairgen.core.errors import FairgenError
from fairgen.data.cluster import Cluster, work
from fairgen.data.embed import check_finite
from fairgen.data.kmeans import agreement, agreements, clusters, clusters_for, kmeans, nearest


def test_planted_clusters_are_found_largest_first() -> None:
    rng = np.random.default_rng(0)
    centres = np.eye(3, 8) * 5
    truth = np.repeat([0, 1, 2], [20, 50, 30])
    vectors = (centres[truth] + rng.normal(0, 0.3, (100, 8))).astype(np.float32)
    label = kmeans(vectors, 3, 0, 25)
    assert agreement(label, [str(t) for t in truth]) == pytest.approx(1)
    assert np.bincount(label).tolist() == [50, 30, 20]
    assert np.array_equal(label, kmeans(vectors, 3, 0, 25))


def test_held_out_vectors_go_to_the_cluster_of_the_smallest_angle() -> None:
    vectors = np.array([[1, 0.1], [2, 0], [0, 1], [0.1, 3]], dtype=np.float32)
    others = np.array([[9, 8], [8, 9], [0.001, 0]], dtype=np.float32)
    assert nearest(vectors, np.array([0, 0, 1, 1]), others).tolist() == [0, 1, 0]
    assert nearest(vectors, np.zeros(4, dtype=int), others).tolist() == [0, 0, 0]
    assert len(nearest(vectors, np.zeros(4, dtype=int), others[:0])) == 0


def test_held_out_images_are_named_by_cluster(tmp_path: Path) -> None:
    """Those that have features; a group without any has none."""
    rows = [(i, "g", "train") for i in range(6)] + [(6, "h", "train")]
    rows += [(10, "g", "validation"), (11, "g", "validation"), (12, "g", "validation"), (13, "g", "test")]
    columns = dict(zip(("id", "group", "split"), map(list, zip(*rows, strict=True)), strict=True))
    parquet.write(tmp_path / "split.parquet", {**columns, "detail": ["{}"] * len(rows)}, {})
    ids = [*range(7), 10, 11]
    angles = [0.0, 0.1, 0.05, 1.5, 1.4, 1.45, 0.0, 1.3, 0.2]
    vectors = np.array([[np.cos(a), np.sin(a)] for a in angles], dtype=np.float32)
    parquet.write(tmp_path / "e.parquet", {"id": ids, "vector": parquet.vectors(vectors)}, {})
    files = SimpleNamespace(
        split=tmp_path / "split.parquet", embeddings=tmp_path / "e.parquet", clusters=tmp_path / "c.parquet"
    )
    work(Cluster(k=2, min_images=2, seed=0, iterations=5), files)
    label = {r["id"]: r["cluster"] for r in parquet.rows(files.clusters)}
    facts = parquet.facts(files.clusters)
    assert label.keys() == set(range(7))
    assert facts["g"]["held_out"][label[3]] == [10] and facts["g"]["held_out"][label[0]] == [11]
    assert facts["h"]["held_out"] == [[]]


def test_small_groups_get_fewer_clusters() -> None:
    assert [clusters_for(n, 4, 10) for n in (3, 19, 25, 400)] == [1, 1, 2, 4]


def test_no_cluster_is_smaller_than_asked() -> None:
    """Three far images of 200 are a cluster of k-means' own, and of no generator's."""
    angles = np.concatenate([np.linspace(0, 0.05, 197), [3.0, 3.05, 3.1]])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert np.bincount(kmeans(vectors, 2, 0, 25)).tolist() == [197, 3]
    for k in (2, 3, 4):
        assert np.bincount(clusters(vectors, k, 3, 0, 25)).min() >= 3
        assert np.bincount(clusters(vectors, k, 10, 0, 25)).min() >= 10
    assert clusters(vectors, 2, 10, 0, 25).tolist() == [0] * 200


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


def test_clusters_are_made_by_the_seed() -> None:
    vectors = np.random.default_rng(0).normal(size=(200, 16)).astype(np.float32)
    one, same, other = (kmeans(vectors, 5, seed, 5).tolist() for seed in (0, 0, 1))
    assert one == same != other


def test_a_cluster_of_the_least_number_of_images_stays() -> None:
    angles = np.concatenate([np.linspace(0, 0.05, 197), [3.0, 3.05, 3.1]])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert np.bincount(clusters(vectors, 2, 3, 0, 25)).tolist() == [197, 3]


def test_the_nearest_cluster_goes_by_directions() -> None:
    """The long vector of the first cluster does not outweigh its other two."""
    vectors = np.array([[100, 0], [0, 1], [0, 1], [0.6, 0.5]], dtype=np.float32)
    assert nearest(vectors, np.array([0, 0, 0, 1]), np.array([[0, 1]], np.float32)).tolist() == [0]


def test_features_are_found_by_id_and_the_seed_counts(tmp_path: Path) -> None:
    """Embeddings have another order than the split, and rows that a ratio has cut."""
    count = 60
    vectors = np.random.default_rng(0).normal(size=(count, 8)).astype(np.float32)

    def clustered(seed: int, order: list[int]) -> dict[int, int]:
        rows = {"id": list(range(count)), "group": ["g"] * count, "split": ["train"] * count}
        parquet.write(tmp_path / "split", rows | {"detail": ["{}"] * count})
        parquet.write(tmp_path / "vectors", {"id": order, "vector": parquet.vectors(vectors[order])}, {})
        paths = {"split": tmp_path / "split", "embeddings": tmp_path / "vectors"}
        work(
            Cluster(k=3, min_images=2, seed=seed, iterations=5),
            SimpleNamespace(**paths, clusters=tmp_path / "c"),
        )
        return {row["id"]: row["cluster"] for row in parquet.rows(tmp_path / "c")}

    forward, backward = list(range(count)), list(range(count))[::-1]
    assert clustered(0, backward) == clustered(0, forward) != clustered(1, forward)
