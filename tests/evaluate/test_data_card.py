"""What the card of a synthetic set says of how its images were drawn."""

from pathlib import Path

import pytest

from fairgen.core import lineage, parquet
from fairgen.evaluate import data_card


@pytest.mark.parametrize(
    ("solver", "told"),
    [
        ({}, "2.0"),
        ({"guidance_interval": [0.6, 1]}, "2.0, at levels of noise from 0.6 to 1, else none"),
    ],
)
def test_guidance_in_an_interval_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, solver: dict, told: str
) -> None:
    settings = {"solver": {"steps": 9, "guidance": 2, **solver}}
    monkeypatch.setattr(lineage, "current", lineage.Lineage("00", "11", "sample", settings))
    columns = {name: ["x", "x"] for name in data_card.COLUMNS} | {
        "guidance": [2.0, 2.0],
        "borrowed_guidance": [0.0] * 2,
    }
    parquet.write(tmp_path / "a.parquet", columns, {"borrowed_from": ""})
    assert data_card.generator_row(tmp_path / "a.parquet")["guidance"] == told


def test_a_file_without_a_record_is_told_as_it_is(tmp_path: Path) -> None:
    columns = {name: ["x"] for name in data_card.COLUMNS} | {"borrowed_guidance": [0.0]}
    parquet.write(tmp_path / "a.parquet", columns, {"borrowed_from": ""})
    assert data_card.generator_row(tmp_path / "a.parquet")["guidance"] == "x"


@pytest.mark.parametrize(
    ("weight", "facts", "told"),
    [
        (0.0, {"borrowed_from": ""}, "1 finetuned"),
        (0.0, {"borrowed_from": "b"}, "1 finetuned, those of b"),
        (
            1.5,
            {"borrowed_from": "b", "companions": ["b", "c"]},
            "1 finetuned, those of b, with 1.5 times the base's step from that group's prompt to this one,"
            " trained along on images of b and c",
        ),
    ],
)
def test_where_generators_come_from_is_told(tmp_path: Path, weight: float, facts: dict, told: str) -> None:
    columns = {name: ["x"] for name in data_card.COLUMNS} | {"borrowed_guidance": [weight]}
    parquet.write(tmp_path / "a.parquet", columns, facts)
    assert data_card.generator_row(tmp_path / "a.parquet")["generators"] == told
