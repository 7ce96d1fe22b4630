"""Readers of data set layouts: each file ends in exactly one of rows and rejects."""

import pytest

from fairgen.formats import Reject, Row, utkface

AGES = {"young": [0, 5], "old": [20, 50]}


@pytest.mark.parametrize(
    ("name", "target", "bias"),
    [
        ("3_0_0_20170110220033115.jpg.chip.jpg", "male", "young"),
        ("26_1_2_20170116174525125.jpg", "female", "old"),
        ("24_0_1_20170116220224657 .jpg.chip.jpg", "male", "old"),
        ("50_0_0_20170116232725357jpg.chip.jpg", "male", "old"),
        ("44_1_4_20170116235150272.pg", "female", "old"),
        ("44_1_4_2017011623515027.jpg", "female", "old"),
        ("44_1_4_201701162351502721.jpg", "female", "old"),
    ],
)
def test_usable_names(name: str, target: str, bias: str) -> None:
    row = utkface.parse(name, AGES)
    assert isinstance(row, Row)
    assert (row.target, row.bias) == (target, bias)


@pytest.mark.parametrize(
    "name",
    [
        "39_1_20170116174525125.jpg.chip.jpg",
        "61_1_20170109150557335.jpg.chip.jpg",
        "53__0_20170116184028385.jpg.chip.jpg",
        "30_7_0_20170116184028385.jpg",
        "30_1_9_20170116184028385.jpg",
        "200_1_0_20170116184028385.jpg",
        "_1_0_20170116184028385.jpg",
        "holiday.jpg",
    ],
)
def test_malformed_names_are_rejected_with_a_reason(name: str) -> None:
    reject = utkface.parse(name, AGES)
    assert isinstance(reject, Reject)
    assert reject.malformed
    assert reject.reason


@pytest.mark.parametrize(
    "name",
    [
        "Thumbs.db",
        "__MACOSX/._3_0_0_20170110220033115.jpg",
        ".ipynb_checkpoints/3_0_0_20170110220033115.jpg",
        "12_0_0_20170110220033115.jpg",
    ],
)
def test_what_is_not_asked_for_is_no_malformed_file(name: str) -> None:
    reject = utkface.parse(name, AGES)
    assert isinstance(reject, Reject)
    assert not reject.malformed
