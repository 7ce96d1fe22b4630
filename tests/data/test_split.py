"""The bias rule."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest

from fairgen.core import parquet
from fairgen.core.errors import FairgenError
from fairgen.data.split import GroupRole, Split, quotas, ratio_of, uncut, work
from fairgen.data.subset import cut

UTKFACE = {
    "male-young": GroupRole("male", "aligned"),
    "male-old": GroupRole("male", "conflicting"),
    "female-old": GroupRole("female", "aligned"),
    "female-young": GroupRole("female", "conflicting"),
}


@pytest.mark.parametrize(
    ("ratio", "male_old", "female_young"), [(0.9, 103, 636), (0.99, 10, 58), (0.999, 1, 6)]
)
def test_counts_agree_with_ffr(ratio: float, male_old: int, female_young: int) -> None:
    """FFR's published UTKFace counts (arXiv 2308.04553), within one image."""
    found = quotas(Counter({"male-young": 934, "female-old": 5731}), UTKFACE, ratio)
    assert abs(found["male-old"] - male_old) <= 1
    assert abs(found["female-young"] - female_young) <= 1


def test_subsets_of_larger_ratios_are_nested() -> None:
    rows = [{"id": i, "group": "male-old"} for i in range(100)]
    few, many = ({r["id"] for r in cut(rows, {"male-old": n}, 0)} for n in (5, 20))
    assert few < many
    assert len(few) == 5


def test_several_conflicting_groups_share_the_quota() -> None:
    groups = {
        "a": GroupRole("x", "aligned"),
        "b": GroupRole("x", "conflicting"),
        "c": GroupRole("x", "conflicting"),
    }
    assert quotas(Counter({"a": 900}), groups, 0.9) == {"b": 50, "c": 50}


def test_a_class_without_a_conflicting_group_is_told(tmp_path: Path) -> None:
    with pytest.raises(FairgenError):
        split_of(tmp_path, "train")
    split_of(tmp_path, "train", "validation", "test")
    assert parquet.facts(tmp_path / "split.parquet")["uncut"] == ["x", "y"]
    assert uncut(UTKFACE) == []


def test_scope_names_the_ratio() -> None:
    assert ratio_of("bias-0.995") == 0.995
    assert ratio_of("bias-natural") is ratio_of("any") is None


def test_what_all_ratios_share_is_in_the_split_of_each(tmp_path: Path) -> None:
    """Training and validation rows of aligned groups, in the same order."""
    groups = {"a": GroupRole("x", "aligned"), "b": GroupRole("x", "conflicting")}
    empty = dict.fromkeys(("path", "target", "bias", "detail", "hash"), "")
    rows = [
        {
            "id": (n * 7919) % 101,
            "group": "ab"[n % 2],
            "split": ("train", "validation", "test")[n % 3],
            **empty,
        }
        for n in range(90)
    ]
    parquet.write(tmp_path / "index.parquet", pa.Table.from_pylist(rows), {"root": "data"})
    found = {}
    for scope in ("any", "bias-0.9", "bias-0.99", "bias-natural"):
        file = tmp_path / f"{scope}.parquet"
        settings = Split(groups) if scope == "any" else Split(groups, 2, 5)
        work(settings, SimpleNamespace(index=tmp_path / "index.parquet", split=file, scope=scope))
        found[scope] = parquet.rows(file)
    assert len(found["any"]) == 30
    for scope in ("bias-0.9", "bias-0.99", "bias-natural"):
        own = [r for r in found[scope] if r["group"] == "a" and r["split"] != "test"]
        assert own == found["any"]
        assert len(found[scope]) > len(own)


def test_what_all_ratios_share_needs_no_test_rows(tmp_path: Path) -> None:
    split_of(tmp_path, "train", scope="any")
    assert {r["split"] for r in parquet.rows(tmp_path / "split.parquet")} == {"train"}
    with pytest.raises(FairgenError, match="group a has no training image"):
        split_of(tmp_path, "validation", scope="any")


def test_a_split_without_validation_rows_stops_before_any_training(tmp_path: Path) -> None:
    """It is one of the first jobs; the classifiers would find out after all generators."""
    with pytest.raises(FairgenError, match=r"no validation image is left.*index\.fractions"):
        split_of(tmp_path, "train")


def test_a_split_without_test_rows_stops_before_any_training(tmp_path: Path) -> None:
    with pytest.raises(FairgenError, match=r"no test image is left.*index\.fractions"):
        split_of(tmp_path, "train", "validation")


def split_of(tmp_path: Path, *splits: str, scope: str = "bias-0.9") -> None:
    """Split an index with a row of two groups in each of these splits."""
    groups = {"a": GroupRole("x", "aligned"), "b": GroupRole("y", "aligned")}
    rows = [
        {"id": i, "group": g, "split": s, **dict.fromkeys(("path", "target", "bias", "detail", "hash"), "")}
        for i, (g, s) in enumerate((g, s) for g in "ab" for s in splits)
    ]
    parquet.write(tmp_path / "index.parquet", pa.Table.from_pylist(rows), {"root": "data"})
    paths = SimpleNamespace(index=tmp_path / "index.parquet", split=tmp_path / "split.parquet", scope=scope)
    work(Split(groups, 10, 0), paths)


def test_quotas_stand_in_the_order_of_the_groups() -> None:
    """A set's order differs from process to process, and with it the bytes of a split with short groups."""
    groups = {
        f"{role}-{i}": GroupRole(f"class-{i}", role) for i in range(8) for role in ("aligned", "conflicting")
    }
    found = quotas(Counter(dict.fromkeys(groups, 90)), groups, 0.9)
    assert list(found) == [f"conflicting-{i}" for i in range(8)]


def twenty_of_each(folder: Path, seed: int = 0, floor: int = 2) -> tuple[dict, list[int]]:
    """What is left at 0.9 of 20 rows of an aligned and a conflicting group in each of four splits."""
    groups = {"a": GroupRole("x", "aligned"), "b": GroupRole("x", "conflicting")}
    empty = dict.fromkeys(("path", "target", "bias", "detail", "hash"), "")
    splits = ("train", "validation", "test", "shift")
    rows = [{"id": n, "group": "ab"[n % 2], "split": splits[n // 2 % 4], **empty} for n in range(160)]
    parquet.write(folder / "index", pa.Table.from_pylist(rows), {"root": "data"})
    paths = SimpleNamespace(index=folder / "index", split=folder / "split", scope="bias-0.9")
    work(Split(groups, floor, seed), paths)
    return parquet.facts(folder / "split"), [row["id"] for row in parquet.rows(folder / "split")]


def test_training_rows_are_cut_validation_rows_to_the_floor_and_test_rows_never(tmp_path: Path) -> None:
    facts, _ = twenty_of_each(tmp_path, floor=7)
    assert {split: own["b"] for split, own in facts["counts"].items()} == {
        **{"train": 2, "validation": 7, "test": 20, "shift": 20}
    }
    assert facts["short"] == []
    assert twenty_of_each(tmp_path, floor=20)[0]["short"] == []


def test_the_seed_says_which_rows_stay(tmp_path: Path) -> None:
    one, same, other = (twenty_of_each(tmp_path, seed)[1] for seed in (0, 0, 1))
    assert one == same != other
    rows = [{"id": i, "group": "g"} for i in range(100)]
    first, second = ([r["id"] for r in cut(rows, {"g": 5}, seed)] for seed in (0, 1))
    assert first != second and first != list(range(5))
