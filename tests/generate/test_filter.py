"""The filter's decisions."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from fairgen.core import parquet
from fairgen.core.errors import FairgenError
from fairgen.generate import filter as stage

COSINES = np.array([[0.30, 0.10], [0.20, 0.19], [0.10, 0.30], [0.25, 0.10], [0.10, 0.28]], dtype=np.float32)
GROUP = np.array([0, 0, 0, 0, 1])


def write(folder: Path) -> SimpleNamespace:
    column = pa.FixedSizeListArray.from_arrays(pa.array(COSINES.ravel(), pa.float32()), 2)
    names = pa.array([["a", "b"][g] for g in GROUP])
    columns = {
        "id": pa.array(list("vwxyz")),
        "group": names,
        "cluster": pa.array([0] * 5),
        "file": pa.array(["f"] * 5),
    }
    parquet.write(
        folder / "scores.parquet",
        pa.table({**columns, "cosines": column}),
        {"groups": ["a", "b"], "scale": 20.0},
    )
    parquet.write(folder / "split.parquet", {"id": []}, {"counts": {"train": {"a": 30, "b": 9}}})
    return SimpleNamespace(scores=folder / "scores.parquet", selection=folder / "selection.parquet", split=[])


def test_probability_is_the_softmax_at_clips_temperature() -> None:
    own = stage.own_scores(COSINES, GROUP, 20.0, "probability")
    assert own[0] == pytest.approx(1 / (1 + np.exp(-4)), rel=1e-5)
    assert own[2] == pytest.approx(1 / (1 + np.exp(4)), rel=1e-5)


def test_the_best_above_the_threshold_are_kept(tmp_path: Path) -> None:
    paths = write(tmp_path)
    stage.work(stage.Filter("probability", 0.5, "groups", 2, True), paths)
    rows = {r["id"]: r for r in parquet.rows(paths.selection)}
    assert [i for i, r in rows.items() if r["kept"]] == ["v", "y", "z"]
    assert rows["w"]["reason"] == "over quota"
    assert rows["x"]["reason"] == "probability below threshold"
    assert parquet.facts(paths.selection)["groups"]["a"] == {"kept": 2, "sampled": 4, "accepted": 0.75}


def test_a_shortfall_is_an_error_with_the_numbers(tmp_path: Path) -> None:
    with pytest.raises(FairgenError, match=r"group a keeps 3 of the 4 images .*filter.threshold = 0.5"):
        stage.work(stage.Filter("probability", 0.5, "groups", 4, False), write(tmp_path))


def test_a_group_without_any_image_is_an_error_even_when_short_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(FairgenError, match=r"no image of group a passes filter\.threshold = 2"):
        stage.work(stage.Filter("cosine", 2, "groups", 1, True), write(tmp_path))


def test_random_keeps_the_quota_without_looking_at_the_scores(tmp_path: Path) -> None:
    names = [f"g/{c}/{i}" for c in range(4) for i in range(250)]
    score = stage.random_scores(names)
    assert score.min() >= 0 and score.max() < 1
    assert np.allclose(score.reshape(4, 250).mean(1), 0.5, atol=0.06)
    paths = write(tmp_path)
    stage.work(stage.Filter("random", 0, "groups", 2, True), paths)
    found = {r["id"]: r for r in parquet.rows(paths.selection)}
    best = sorted("vwxy", key=lambda name: -stage.random_scores([name])[0])[:2]
    assert {name for name, r in found.items() if r["kept"]} == {*best, "z"}
    assert {r["reason"] for r in found.values()} == {"", "over quota"}


def test_random_has_no_threshold(tmp_path: Path) -> None:
    paths = write(tmp_path)
    stage.work(stage.Filter("random", 1.0, "groups", 4, True), paths)
    found = parquet.facts(paths.selection)["groups"]
    assert found["a"] == {"kept": 4, "sampled": 4, "accepted": 1.0}
    with pytest.raises(FairgenError, match=r"keeps 1 of the 4 images .*\(1 sampled\); lower filter\.quota"):
        stage.work(stage.Filter("random", 1.0, "groups", 4, False), paths)


def test_probabilities_near_one_are_told_apart() -> None:
    """At the scale of 100 that CLIP has, a gap of 0.2 is 1 − 2e-9: in single precision 1."""
    cosines = np.array([[0.4, 0.2], [0.5, 0.2], [0.45, 0.2]], np.float32)
    own = stage.own_scores(cosines, np.zeros(3, int), 100.0, "probability")
    assert np.argsort(-own).tolist() == [1, 2, 0]


def test_proportions_are_kept_where_images_are_too_few(tmp_path: Path) -> None:
    wanted = stage.Filter("cosine", 0, "data", 3, True)
    assert stage.in_proportion([760, 40, 40, 760], [540, 40, 40, 540]) == [540, 28, 28, 540]
    assert stage.in_proportion([400, 20], [540, 20]) == [400, 20]
    assert stage.in_proportion([900, 3, 0], [90, 3, 0]) == [90, 1, 0]
    paths = write(tmp_path)
    paths.split = [tmp_path / "split.parquet"]
    parquet.write(paths.split[0], {"id": []}, {"counts": {"train": {"a": 20, "b": 10}}})
    stage.work(wanted, paths)  # 4 and 2, and there is one of the second
    found = parquet.facts(paths.selection)["groups"]
    assert {name: g["kept"] for name, g in found.items()} == {"a": 2, "b": 1}


def test_quantiles_are_ranks_inside_the_group() -> None:
    assert stage.own_scores(COSINES, GROUP, 20.0, "quantile").tolist() == [0.875, 0.375, 0.125, 0.625, 0.5]


def test_the_control_keeps_the_proportions_of_the_training_images(tmp_path: Path) -> None:
    """30 and 9 training images: of 2 · 2 images 3 and 1; at 30 and 0 all four, and none of the empty
    group.
    """
    paths = write(tmp_path)
    paths.split = [tmp_path / "split.parquet"]
    stage.work(stage.Filter("cosine", 0, "data", 2, False), paths)
    found = parquet.facts(paths.selection)["groups"]
    assert {name: g["kept"] for name, g in found.items()} == {"a": 3, "b": 1}
    parquet.write(paths.split[0], {"id": []}, {"counts": {"train": {"a": 30}}})
    stage.work(stage.Filter("cosine", 0, "data", 2, False), paths)
    assert [r["id"] for r in parquet.rows(paths.selection) if r["kept"]] == list("vwxy")
    assert stage.quotas(stage.Filter("cosine", 0, "data", 200, False), [800, 8, 8, 800]) == [396, 4, 4, 396]


def test_an_image_at_the_threshold_passes_and_samples_are_passed_on(tmp_path: Path) -> None:
    cosines = pa.FixedSizeListArray.from_arrays(pa.array([0.5, 0.1, 0.25, 0.1], pa.float32()), 2)
    columns = {"id": ["x", "y"], "group": ["a"] * 2, "cluster": [0] * 2, "file": ["f"] * 2}
    facts = {"groups": ["a", "b"], "scale": 20.0, "samples": {"f": "00ff"}}
    parquet.write(tmp_path / "scores", pa.table({**columns, "cosines": cosines}), facts)
    paths = SimpleNamespace(scores=tmp_path / "scores", selection=tmp_path / "s", split=[tmp_path / "split"])
    parquet.write(tmp_path / "split", {"id": []}, {"counts": {"train": {"a": 30}}})
    stage.work(stage.Filter("cosine", 0.5, "data", 1, True), paths)
    assert [row["reason"] for row in parquet.rows(tmp_path / "s")] == ["", "cosine below threshold"]
    assert parquet.facts(tmp_path / "s")["samples"] == {"f": "00ff"}
