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
    columns = {name: ["x", "x"] for name in data_card.COLUMNS} | {"guidance": [2.0, 2.0]}
    parquet.write(tmp_path / "a.parquet", columns, {"borrowed_from": ""})
    assert data_card.generator_row(tmp_path / "a.parquet")["guidance"] == told


def test_a_file_without_a_record_is_told_as_it_is(tmp_path: Path) -> None:
    columns = {name: ["x"] for name in data_card.COLUMNS}
    parquet.write(tmp_path / "a.parquet", columns, {"borrowed_from": ""})
    assert data_card.generator_row(tmp_path / "a.parquet")["guidance"] == "x"
