"""CLIP and the encoders of clusters: what a folder lacks is one line with its key."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fairgen.core.errors import FairgenError
from fairgen.embedded import tiny
from fairgen.models import encoder, scorer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(tiny.CLIP, tmp_path / "own")


def of_another_kind(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": "blip"}))


def without_mean(folder: Path) -> None:
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "image_mean"}))


def without_words(folder: Path) -> None:
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"):
        (folder / name).unlink()


FAULTS = {
    "no preprocessor": (
        lambda folder: (folder / "preprocessor_config.json").unlink(),
        "own has no preprocessor_config.json with image_mean and image_std",
    ),
    "no mean": (without_mean, "own has no preprocessor_config.json with image_mean and image_std"),
    "another kind": (
        of_another_kind,
        "own is of no family that fairgen reads (config.json says model_type: blip)",
    ),
    "no config": (lambda folder: (folder / "config.json").unlink(), "own "),
    "no words": (without_words, "own"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "own "),
    "no folder": (shutil.rmtree, "own"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_clip_lacks_is_one_line(folder: Path, fault: str) -> None:
    spoil, said = FAULTS[fault]
    spoil(folder)
    for key, load in (
        ("score.model", lambda: scorer.load(str(folder), "score.model")),
        ("embed.encoder.model", lambda: encoder.load(encoder.Encoder("clip", str(folder)))),
    ):
        with pytest.raises(FairgenError) as error:
            load()
        assert str(error.value).startswith(f"{key}: ")
        assert said in str(error.value)
        assert str(folder) in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("restnet50", "embed.encoder.model: timm has no model restnet50; near it are "),
        ("coatnet_0_224", "embed.encoder.model: timm has no weights of coatnet_0_224"),
    ],
)
def test_a_timm_encoder_that_is_none_is_one_line(model: str, said: str) -> None:
    with pytest.raises(FairgenError) as error:
        encoder.load(encoder.Encoder("timm", model))
    assert str(error.value).startswith(said)


def test_an_encoder_of_timms_layout_may_be_a_local_folder(tmp_path: Path) -> None:
    """The embedded backbone: by its folder, or by a copy elsewhere; what a folder lacks is one line."""
    pixels = np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3)).astype(np.uint8)
    copy = shutil.copytree(tiny.BACKBONE, tmp_path / "own")
    here, there = (
        encoder.load(encoder.Encoder("timm", str(place)))(pixels)
        for place in ("fairgen:embedded/weights/backbone", copy)
    )
    assert here.shape == (3, 256)
    assert np.array_equal(here, there)
    (copy / "model.safetensors").unlink()
    with pytest.raises(
        FairgenError, match=r"audit\.encoder\.model: cannot load a model from the folder .*own"
    ):
        encoder.load(encoder.Encoder("timm", str(copy)), "audit.encoder")
