"""Adapters: what their files say, and the curves beside them."""

import json
from pathlib import Path

import pytest
import recorded

import fairgen
from fairgen.api.adapter import Adapter


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
