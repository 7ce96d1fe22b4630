"""Image-text models of every family, on random-weight miniatures: features as transformers' own classes give
them, prompts to the end, and one line about what a folder lacks.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scorers
import torch

from fairgen.core.errors import FairgenError
from fairgen.models import encoder, families, scorer

PROMPTS = ["a Photo of a bird, on land", "x", "waterbird on water"]
ONE_FILE = [name for name in scorers.FAMILIES if name != "clip"]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A miniature of each family."""
    folder = tmp_path_factory.mktemp("scorers")
    return {name: scorers.build(folder, name) for name in scorers.FAMILIES}


@pytest.fixture
def pixels() -> np.ndarray:
    """Five random pictures of the miniatures' size."""
    return np.random.default_rng(0).integers(0, 255, (5, scorers.SIDE, scorers.SIDE, 3)).astype(np.uint8)


def reference_tokens(place: Path, family: str) -> dict[str, torch.Tensor]:
    """Tokens by transformers' wrapper of the file, padded as each family's model card says."""
    from transformers import PreTrainedTokenizerFast

    names = json.loads((place / "tokenizer_config.json").read_text())
    words = PreTrainedTokenizerFast(
        tokenizer_file=str(place / "tokenizer.json"),
        pad_token=names["pad_token"],
        eos_token=names["eos_token"]["content"],
        padding_side="right",
    )
    texts = PROMPTS if family == "metaclip_2" else [prompt.lower() for prompt in PROMPTS]
    length = scorers.LENGTH[family]
    found = words(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    masked = family == "metaclip_2"  # the others attend padding
    return {k: found[k] for k in ("input_ids", *(["attention_mask"] if masked else []))}


def reference_images(family: str, pixels: np.ndarray) -> dict[str, torch.Tensor]:
    """What transformers' own preprocessing makes of pictures."""
    from transformers import CLIPImageProcessor, SiglipImageProcessor
    from transformers.models.siglip2.image_processing_siglip2 import Siglip2ImageProcessor

    steps = {"image_mean": [0.5, 0.4, 0.6], "image_std": [0.5, 0.3, 0.2]}
    size = {"height": scorers.SIDE, "width": scorers.SIDE}
    if family == "siglip2":
        patches = (scorers.SIDE // scorers.PATCH) ** 2
        made = Siglip2ImageProcessor(**steps, patch_size=scorers.PATCH, max_num_patches=patches)
    elif family == "siglip":
        made = SiglipImageProcessor(**steps, size=size)
    else:
        made = CLIPImageProcessor(**steps, size={"shortest_edge": scorers.SIDE}, crop_size=size)
    return dict(made([x for x in pixels], return_tensors="pt"))


@pytest.mark.parametrize("family", ONE_FILE)
def test_features_are_those_of_transformers(places: dict, pixels: np.ndarray, family: str) -> None:
    loaded = scorer.load(str(places[family]), "score.model")
    with torch.inference_mode():
        whole = loaded.network(**reference_tokens(places[family], family), **reference_images(family, pixels))
    images, texts = loaded.images(pixels), loaded.texts(PROMPTS)
    assert torch.allclose(images, whole.image_embeds, atol=1e-5)
    assert torch.allclose(texts, whole.text_embeds, atol=1e-5)
    bias = 0 if family == "metaclip_2" else -10.0
    assert torch.allclose(loaded.scale * images @ texts.T + bias, whole.logits_per_image, atol=1e-3)
    assert images.std(0).max() > 1e-3 and texts.std(0).max() > 1e-3


@pytest.mark.parametrize("family", scorers.FAMILIES)
def test_a_prompt_reads_alike_alone_and_among_others(places: dict, family: str) -> None:
    loaded = scorer.load(str(places[family]), "score.model")
    together = loaded.texts(PROMPTS)
    assert torch.allclose(together[1:2], loaded.texts(PROMPTS[1:2]), atol=1e-5)
    assert together.norm(dim=1).tolist() == pytest.approx([1, 1, 1], abs=1e-5)


@pytest.mark.parametrize("family", scorers.FAMILIES)
def test_every_family_clusters_too(places: dict, pixels: np.ndarray, family: str) -> None:
    features = encoder.load(encoder.Encoder("clip", str(places[family])))
    assert features.size == scorers.SIDE
    found = features(pixels)
    assert found.shape[0] == 5 and found.ndim == 2 and found.dtype == np.float32
    assert np.allclose(found[:2], features(pixels[:2]), atol=1e-5)


def test_capitals_matter_only_where_the_family_was_trained_with_them(places: dict) -> None:
    for family in ONE_FILE:
        loaded = scorer.load(str(places[family]), "score.model")
        upper, lower = loaded.texts(["A BIRD", "a bird"])
        same = torch.allclose(upper, lower)
        assert same == families.FAMILIES[family].lowercase, family


@pytest.mark.parametrize("family", ONE_FILE)
def test_a_prompt_that_would_be_cut_off_is_one_line(places: dict, family: str) -> None:
    loaded, limit = scorer.load(str(places[family]), "score.model"), scorers.LENGTH[family]
    own = 1 if family == "siglip2" else 2  # the end; XLM-R has a start, and sentencepiece puts a space first
    own += family == "metaclip_2"
    loaded.texts(["x" * (limit - own)])
    with pytest.raises(FairgenError, match=f"has {limit + 1} tokens, and the text encoder reads {limit}"):
        loaded.texts(["x" * (limit - own + 1)])


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def changed(name: str, **values: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def damaged(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{")


def relabelled(folder: Path) -> None:
    """Say in config.json that SigLIPs are CLIPs, and MetaCLIPs SigLIPs."""
    changed("config.json", model_type="clip" if "siglip" in folder.name else "siglip")(folder)


FAULTS = {
    "no words": (without("tokenizer.json"), "tokenizer.json"),
    "damaged words": (damaged, "tokenizer.json is damaged"),
    "no pad token": (changed("tokenizer_config.json", pad_token=None), "names no pad_token"),
    "another kind": (changed("config.json", model_type="clap"), "is of no family that fairgen reads"),
    "no kind": (changed("config.json", model_type=None), "is of no family that fairgen reads"),
    "another family": (relabelled, "does not hold the weights"),
    "no weights": (without("model.safetensors"), ""),
    "no mean": (changed("preprocessor_config.json", image_mean=None), "image_mean"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("family", ONE_FILE)
def test_what_a_folder_lacks_is_one_line(tmp_path: Path, family: str, fault: str) -> None:
    spoil, said = FAULTS[fault]
    place = scorers.build(tmp_path, family)
    spoil(place)
    with pytest.raises(FairgenError) as error:
        scorer.load(str(place), "score.second")
    assert str(error.value).startswith("score.second: ")
    assert said in str(error.value)
    assert str(place) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_gated_model_says_where_access_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.configuration_utils import PreTrainedConfig

    def gated(place: str) -> None:
        raise OSError("You are trying to access a gated repo.\nMake sure to have access to it at https://…")

    monkeypatch.setattr(PreTrainedConfig, "get_config_dict", gated)
    with pytest.raises(FairgenError) as error:
        scorer.load("some/model", "score.model")
    assert str(error.value) == (
        "score.model: 'some/model' is gated at the hub; accept its terms at https://huggingface.co/some/model"
        " and log in with `hf auth login`, or give a local folder"
    )
