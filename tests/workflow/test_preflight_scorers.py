"""What is told of image-text models before the first job: each family's parts, and prompts that it cuts
off.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import scorers

from fairgen.models import tokenizer_file
from fairgen.models.families import FAMILIES
from fairgen.models.pipelines import CLIP
from fairgen.workflow.preflight import models, prompts

ONE_FILE = [name for name in scorers.FAMILIES if name != "clip"]


def told(place: Path) -> list[str]:
    return [finding.text for finding in models.image_text(str(place), "score.model")]


def without(name: str) -> Callable[[Path], None]:
    return lambda place: (place / name).unlink()


def kind(name: str) -> Callable[[Path], None]:
    def change(place: Path) -> None:
        path = place / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": name}))

    return change


def cut(place: Path) -> None:
    file = place / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100])


FAULTS = {
    "weights": (without("model.safetensors"), "holds no model.safetensors but nothing alike"),
    "cut weights": (cut, "model.safetensors is damaged"),
    "words": (without("tokenizer.json"), "holds no tokenizer.json of a tokenizer"),
    "end": (without("tokenizer_config.json"), "holds no tokenizer_config.json of a tokenizer"),
    "mean": (without("preprocessor_config.json"), "holds no readable preprocessor_config.json"),
    "config": (without("config.json"), "holds no config.json"),
    "kind": (kind("clap"), "is of no family that fairgen reads (config.json says model_type: clap); give a"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("family", ONE_FILE)
def test_a_missing_or_damaged_part_is_named(tmp_path: Path, family: str, fault: str) -> None:
    spoil, said = FAULTS[fault]
    place = scorers.build(tmp_path, family)
    assert told(place) == []
    spoil(place)
    (line,) = told(place)
    assert line.startswith("config: score.model: ")
    assert str(place) in line
    assert said in line


def test_weights_of_another_family_are_named(tmp_path: Path) -> None:
    place = scorers.build(tmp_path, "siglip")
    kind("clip")(place)
    assert any("is a file of other weights" in line for line in told(place))


@pytest.mark.parametrize("family", ONE_FILE)
def test_prompts_are_counted_as_they_are_read(tmp_path: Path, family: str) -> None:
    """At the limit nothing is told, above it the number; a short prompt needs no tokenizer."""
    place, limit = scorers.build(tmp_path, family), scorers.LENGTH[family]
    files = [place / name for name in tokenizer_file.FILES]
    words = tokenizer_file.read(*files, limit, FAMILIES[family].lowercase)
    longest = next("x" * n for n in range(limit) if len(words.ids("x" * n)) == limit)
    found = dict(prompts.too_long(place, CLIP, [("a", longest), ("b", longest + "x"), ("c", "a bird")]))
    assert list(found) == ["b"]
    assert f"has {limit + 1} tokens, and {place} reads {limit}; shorten it" in found["b"]
    for text in ("a photo of a grown man", "naïve café, isn't it 1234?", "x", "日本語"):
        if len(text.encode()) + 3 <= limit:
            assert len(words.ids(text)) <= limit
    files[0].unlink()
    assert not [*prompts.too_long(place, CLIP, [("c", "a bird")])]
