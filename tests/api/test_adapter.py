"""Adapters: what their files say, and the curves beside them."""

import json
from pathlib import Path

import pytest
import recorded

import fairgen
from fairgen.api.adapter import Adapter, read
from fairgen.core.errors import FairgenError
from fairgen.models import adapters


@pytest.fixture
def found(tmp_path: Path) -> list[Adapter]:
    """The adapters of two groups."""
    return fairgen.open(recorded.write(tmp_path)).adapters("lora")


def test_an_adapter_says_what_it_was_trained_on(found: list[Adapter]) -> None:
    a, b = found
    assert (a.group, a.cluster, a.kind, a.steps, a.images, a.losses) == ("a", 0, "lora", 6, 5, (0.5, 0.25))
    assert (b.steps, b.images, b.losses) == (0, 0, ())
    assert b.reason.startswith("borrows from a")


def test_curves_are_a_table_or_none(found: list[Adapter]) -> None:
    curves = found[0].curves
    rows = list(curves[["step", "figure", "value"]].itertuples(index=False, name=None))
    assert rows == [(3, "loss", 0.5), (6, "loss", 0.25), (6, "gradient_norm", 1.5), (6, "held_out", 0.75)]
    assert found[1].curves is None


@pytest.mark.parametrize("change", [{"lineage": "0dd"}, None], ids=["of another training", "damaged"])
def test_curves_of_another_training_are_none(found: list[Adapter], change: dict | None) -> None:
    file = found[0].path.with_suffix(".curves.json")
    file.write_text("{" if change is None else json.dumps(json.loads(file.read_text()) | change))
    assert found[0].curves is None


def test_curves_of_an_interrupted_training_are_told(found: list[Adapter]) -> None:
    """The training went on without a watch: they end before it does."""
    assert found[0].curves.attrs["partial"] == ""
    file = found[0].path.with_suffix(".curves.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"done": False}))
    with pytest.warns(UserWarning, match="to step 6: its training was interrupted"):
        assert found[0].curves.attrs["partial"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"runs": None}, "runs: this is nothing"),
        ({"runs": [{"name": "a", "phase": "adapt", "training": {}}]}, "runs.0.looks: the key is missing"),
        (
            {"runs": [{"name": "a", "phase": "", "training": {"step": [1], "loss": []}, "looks": {}}]},
            "runs.0.training.loss has 0 values for 1 steps",
        ),
    ],
)
def test_damaged_curves_are_one_line(found: list[Adapter], change: dict, told: str) -> None:
    file = found[0].path.with_suffix(".curves.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(FairgenError, match=told) as raised:
        _ = found[0].curves
    assert "\n" not in str(raised.value)


def test_damaged_facts_are_one_line(tmp_path: Path) -> None:
    for number, facts in enumerate([{"images": "many"}, {"images": 1, "settings": 5}, {"kind": "lora"}]):
        adapters.write_empty(path := tmp_path / f"{number}.safetensors", facts)
        with pytest.raises(FairgenError, match=r"the file is damaged; train it again"):
            read(path, "a")


def test_of_a_shared_batch_each_adapter_has_its_own_curves_and_place(tmp_path: Path) -> None:
    """The file of a group holds the adapters of all its clusters, and the curves beside it all their runs."""
    file = tmp_path / "a-b.safetensors"
    facts = {"cluster": 0, "kind": "lora", "images": 5, "settings": {"recipe": {"steps": 2}}}
    config = {"r": 1, "target_modules": []}
    with recorded.job("ada"):
        members = {str(n): ({}, {**facts, "cluster": n, "images": 5 if n < 2 else 0}) for n in range(3)}
        adapters.write_group(file, members, "unet", config)
    runs = [
        {"name": f"a-b/{n}", "phase": "adapt", "training": {"step": [1, 2], "loss": [n, n]}, "looks": {}}
        for n in range(2)
    ]
    file.with_suffix(".curves.json").write_text(json.dumps({"lineage": "ada", "runs": runs}))
    found = read(file, "a-b")
    assert [list(one.curves["value"]) for one in found[:2]] == [[0, 0], [1, 1]]
    assert [set(one.curves["run"]) for one in found[:2]] == [{"a-b/0"}, {"a-b/1"}]
    assert found[2].curves is None  # it borrows
    assert [one.path.name for one in found] == [f"a-b.safetensors#{n}" for n in range(3)]
    assert all(adapters.read_facts(one.path)["cluster"] == one.cluster for one in found)
