"""Captions and boxes that a finetune asks for: what is wrong with them is told before the first job."""

import copy
from pathlib import Path
from typing import Any

import pytest

from fairgen.workflow.expansion import expanded
from fairgen.workflow.method_chain import merged
from fairgen.workflow.preflight import beside
from fairgen.workflow.preflight.findings import NOTE, WRONG, Case

BOX = ["left", "top", "width", "height"]


def told(config: dict, adapt: dict, data: dict[str, Any], text_lr: float = 0) -> list[tuple[str, str]]:
    """Kind and text of what is found of birds with these settings of the method lora and these keys."""
    given = merged(config, {"methods": {"lora": {"adapt": {**adapt, "lora": {"text_lr": text_lr}}}}})
    given = copy.deepcopy(given)
    given["datasets"]["birds"] |= data
    case = Case(expanded(given), "birds", ("lora", "vanilla"))
    return [(found.kind, found.text) for check in (beside.asked, beside.columns) for found in check(case)]


def test_what_is_named_and_not_asked_for_passes(config: dict) -> None:
    assert told(config, {}, {}) == []
    assert told(config, {"captions": 0.9, "crop": "box"}, {"caption": "text", "box": BOX}) == []


@pytest.mark.parametrize(
    ("adapt", "data", "line"),
    [
        (
            {"captions": 0.9},
            {},
            "config: adapt.captions: 0.9 for lora on birds, and datasets.birds names no caption; write there",
        ),
        (
            {"crop": "box"},
            {},
            "config: adapt.crop: box for lora on birds, and datasets.birds names no box; write there the",
        ),
    ],
)
def test_what_is_asked_for_and_not_named_is_one_line(
    config: dict, adapt: dict, data: dict, line: str
) -> None:
    ((kind, text),) = told(config, adapt, data)
    assert kind == WRONG
    assert text.startswith(line)


def test_a_mistake_of_methods_of_two_kinds_is_one_line(config: dict) -> None:
    own = {"settings": {"adapt": {"captions": 0.9, "lora": {"text_lr": 0}, "full": {"text_lr": 0}}}}
    given = expanded(merged(config, {"datasets": {"birds": own}}))
    (found,) = beside.asked(Case(given, "birds", ("lora", "dreambooth")))
    assert found.text.startswith("config: adapt.captions: 0.9 for lora, dreambooth on birds")


def test_captions_are_not_for_trained_text_encoders(config: dict) -> None:
    ((_, text),) = told(config, {"captions": 0.9}, {"caption": "text"}, 1.0e-4)
    assert text.startswith(
        "config: adapt.captions: captions are encoded once, and adapt.lora.text_lr of lora"
    )


@pytest.mark.parametrize(
    ("asked", "kind", "line"),
    [
        ({"caption": "txt"}, WRONG, "caption: {} has no column 'txt'; did you mean text?"),
        ({"box": [*BOX[:3], "zzz"]}, WRONG, "box: {} has no column 'zzz'; known are file, kind, text"),
        ({"caption": "empty"}, NOTE, "caption: the column 'empty' of {} is empty in its first 2 rows"),
    ],
)
def test_columns_of_a_label_table(config: dict, tmp_path: Path, asked: dict, kind: str, line: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(f"file,kind,text,empty,{','.join(BOX)}\na.png,a,a duck,,1,2,3,4\nb.png,b,,,1,2,3,4\n")
    data = {"format": "table", "root": str(tmp_path), "options": {"file": "labels.csv", "path": "file"}}
    assert told(config, {}, {**data, "caption": "text", "box": BOX}) == []
    ((found, text),) = told(config, {}, {**data, **asked})
    assert found == kind
    assert text.startswith(f"config: datasets.birds.{line.format(path)}")
