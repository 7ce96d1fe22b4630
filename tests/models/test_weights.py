"""Loaders refuse weights that are not all there, by the name of the file or folder and of the weight, and
take good ones.
"""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import miniatures
import pytest
import single_files
import timm
import torch
from safetensors.torch import load_file, save_file

from fairgen import cli
from fairgen.core import safetensors_file as tensors
from fairgen.core.errors import FairgenError
from fairgen.embedded import tiny
from fairgen.generate import text_adapters
from fairgen.models import (
    adapters,
    base_model,
    classifier,
    diffusion,
    encoder,
    lora,
    scorer,
    text_encoders,
    weights,
)

TINY = classifier.Classifier("resnet10t", {"channels": [8, 8, 16, 16], "stem_width": 8}, False, 32)
WAYS = list(miniatures.SPOILT)


def base_of(place: Path, **more: str) -> base_model.Base:
    return base_model.Base(str(place), None, None, "bfloat16", 32, **more)


def refused(load: Callable[[], object], file: Path, how: str, name: str, place: Path, said: str = "") -> None:
    """The good file loads; the spoilt one is an error that names the place and the weight."""
    load()
    miniatures.spoil(file, how, name)
    with pytest.raises(FairgenError) as error:
        load()
    message = str(error.value)
    assert str(place) in message
    assert said in message
    assert name in message or (how == "prefixed" and "missing" in message.lower())
    assert "\n" not in message


PARTS = {
    "unet": ("sd15", diffusion.load_denoiser, "conv_in.bias"),
    "vae": ("sd15", diffusion.load_vae, "decoder.conv_in.bias"),
    "text_encoder": ("sd15", text_encoders.load_text, "encoder.layers.0.layer_norm1.bias"),
    "text_encoder_2": ("sdxl", text_encoders.load_text, "text_model.encoder.layers.0.layer_norm1.bias"),
}


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("part", PARTS)
def test_parts_of_a_base(folders: dict, tmp_path: Path, part: str, how: str) -> None:
    architecture, load, name = PARTS[part]
    folder = shutil.copytree(folders[architecture], tmp_path / "base")
    (file,) = (folder / part).glob("*.safetensors")
    refused(lambda: load(base_of(folder)), file, how, name, folder, "diffusion.model: ")


def test_position_ids_of_old_files_do_no_harm(folders: dict, tmp_path: Path) -> None:
    folder = shutil.copytree(folders["sdxl"], tmp_path / "base")
    for part in ("text_encoder", "text_encoder_2"):
        (file,) = (folder / part).glob("*.safetensors")
        save_file(
            {**load_file(file), "text_model.embeddings.position_ids": torch.arange(77)[None]},
            file,
            {"format": "pt"},
        )
    text_encoders.load_text(base_of(folder))


def test_a_variant_is_checked_and_not_its_neighbour(tmp_path: Path) -> None:
    folder = miniatures.build(tmp_path, "sd15", "fp16", torch.float16)
    (file,) = (folder / "unet").glob("*.safetensors")
    save_file(
        {"x": torch.zeros(1, dtype=torch.int8)},
        folder / "unet/diffusion_pytorch_model.safetensors",
        {"format": "pt"},
    )
    base = replace(base_of(folder), variant="fp16")
    refused(lambda: diffusion.load_denoiser(base), file, "quantised", "conv_in.bias", folder)


@pytest.mark.parametrize("how", WAYS)
def test_clip(tmp_path: Path, how: str) -> None:
    folder = shutil.copytree(tiny.CLIP, tmp_path / "clip")
    name = "text_model.encoder.layers.0.layer_norm1.bias"
    refused(
        lambda: scorer.load(str(folder), "score.model"),
        folder / "model.safetensors",
        how,
        name,
        folder,
        "score.model: ",
    )


SINGLE = {
    "unet": (diffusion.load_denoiser, "model.diffusion_model.out.0.bias", "conv_norm_out.bias"),
    "vae": (diffusion.load_vae, "first_stage_model.decoder.norm_out.bias", "decoder.conv_norm_out.bias"),
    "text_encoder": (
        text_encoders.load_text,
        "cond_stage_model.transformer.text_model.encoder.layers.0.layer_norm1.bias",
        "encoder.layers.0.layer_norm1.bias",
    ),
}


@pytest.mark.parametrize("how", ["dropped", "renamed", "prefixed", "reshaped", "quantised"])
@pytest.mark.parametrize("part", SINGLE)
def test_single_files(folders: dict, tmp_path: Path, part: str, how: str) -> None:
    load, name, ours = SINGLE[part]
    config = single_files.describe(folders["sd15"], tmp_path / "config")
    file = single_files.write(folders["sd15"], tmp_path / "sd.safetensors")
    base = base_of(file, config=str(config))
    load(base)
    miniatures.spoil(file, how, name)
    with pytest.raises(FairgenError, match=f"{re.escape(str(file))} .*{part}") as error:
        load(base)
    assert how in ("prefixed", "reshaped") or name in str(error.value) or ours in str(error.value)


def test_a_single_file_with_more_layers_than_its_folder_describes(folders: dict, tmp_path: Path) -> None:
    config = single_files.describe(folders["sd15"], tmp_path / "config")
    file = single_files.write(folders["sd15"], tmp_path / "sd.safetensors")
    name = "model.diffusion_model.input_blocks.1.0.in_layers.0.bias"
    save_file({**load_file(file), name.replace("input_blocks.1.0", "input_blocks.1.1"): torch.zeros(8)}, file)
    with pytest.raises(FairgenError, match=r"sd\.safetensors .*unet"):
        diffusion.load_denoiser(base_of(file, config=str(config)))


def timm_file(path: Path) -> Path:
    """A file of the tiny ResNet with the head of 1,000 classes that timm expects."""
    args = {name: tuple(v) if isinstance(v, list) else v for name, v in TINY.args.items()}
    save_file(
        {n: x.contiguous() for n, x in timm.create_model(TINY.model, **args).state_dict().items()}, path
    )
    return path


@pytest.mark.parametrize("classes", [2, 1000])
@pytest.mark.parametrize("how", WAYS)
def test_the_classifiers_start(tmp_path: Path, how: str, classes: int) -> None:
    file = timm_file(tmp_path / "start.safetensors")
    settings = replace(TINY, pretrained=str(file))
    refused(
        lambda: classifier.build(settings, classes, 0),
        file,
        how,
        "layer1.0.conv1.weight",
        file,
        "classifier.pretrained: ",
    )


@pytest.mark.parametrize("gone", ["head.norm.", "stem.1."])
def test_the_norm_of_a_head_may_be_new(tmp_path: Path, gone: str) -> None:
    """As in timm's weights of masked autoencoders; any other norm may not."""
    file = tmp_path / "start.safetensors"
    tensors = timm.create_model("test_convnext").state_dict()
    save_file({name: x.contiguous() for name, x in tensors.items() if not name.startswith(gone)}, file)
    settings = classifier.Classifier("test_convnext", {}, str(file), 32)
    if gone == "head.norm.":
        assert torch.equal(classifier.build(settings, 2, 0).net.stem[1].weight, tensors["stem.1.weight"])
    else:
        with pytest.raises(FairgenError, match=r"start\.safetensors .*stem\.1\."):
            classifier.build(settings, 2, 0)


@pytest.mark.parametrize("how", ["dropped", "renamed", "prefixed"])
def test_timm_encoders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Loaded as from the hub, which a local file stands for; its classifier is left out."""
    file, create = timm_file(tmp_path / "hub.safetensors"), timm.create_model
    args = {name: tuple(v) if isinstance(v, list) else v for name, v in TINY.args.items()}

    def local(model: str, **options: object) -> torch.nn.Module:
        return create(model, pretrained_cfg_overlay={"file": str(file)}, **options, **args)

    monkeypatch.setattr(timm, "create_model", local)
    settings = encoder.Encoder("timm", "resnet10t")
    refused(
        lambda: encoder.load(settings),
        file,
        how,
        "layer1.0.conv1.weight",
        "resnet10t",
        "embed.encoder.model: ",
    )


@pytest.mark.parametrize("how", WAYS)
def test_trained_classifiers(tmp_path: Path, how: str) -> None:
    file = tmp_path / "model.safetensors"
    classifier.save(file, classifier.build(TINY, 2, 0), classifier.identity(TINY, ["a", "b"]))
    refused(lambda: classifier.load(file), file, how, "layer1.0.conv1.weight", file)


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("part", ["unet", "text_encoder"])
@pytest.mark.parametrize("kind", ["lora", "full"])
def test_adapters(folders: dict, tmp_path: Path, kind: str, part: str, how: str) -> None:
    base, file = replace(base_of(folders["sd15"]), dtype="float32"), tmp_path / "a.safetensors"
    identity, unet, encoders = (
        diffusion.identity(base),
        diffusion.load_denoiser(base),
        text_encoders.load_text(base),
    )
    if kind == "lora":
        lora.inject_lora(unet, 2, 4)
        lora.inject_lora(encoders["text_encoder"][1], 2, 4, targets=lora.TEXT_TARGETS)
    facts = {"kind": kind, "base": identity, "rank": 2, "alpha": 4, "dora": False, "images": 1}
    adapters.write(file, unet, facts, text_adapters.state(encoders, kind))

    def load() -> None:
        adapters.apply(file, diffusion.load_denoiser(base), identity)
        text_adapters.adapted(file, base, identity)

    layers = {
        "unet": "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
        "text_encoder": "encoder.layers.0.self_attn.q_proj",
    }
    name = (
        f"{layers[part]}.lora_A.weight"
        if kind == "lora"
        else {"unet": "conv_in.bias", "text_encoder": "final_layer_norm.bias"}[part]
    )
    stored = {("unet", "lora"): "unet.", ("unet", "full"): ""}.get(
        (part, kind), "text_encoder.text_model."
    ) + name
    load()
    miniatures.spoil(file, how, stored)
    with pytest.raises(FairgenError, match=re.escape(str(file))) as error:
        load()
    assert name in str(error.value) or how == "prefixed"


def test_export_checks_all_parts_of_the_base(
    folders: dict, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    folder, file = shutil.copytree(folders["sd15"], tmp_path / "base"), tmp_path / "a.safetensors"
    base = base_of(folder)
    about = {"group": "g", "cluster": 0, "images": 3, "prompt": "a V", "rank": 2, "alpha": 5, "dora": False}
    adapters.write(
        file, diffusion.load_denoiser(base), {"kind": "full", "base": diffusion.identity(base), **about}
    )
    (vae,) = (folder / "vae").glob("*.safetensors")
    miniatures.spoil(vae, "dropped", "decoder.conv_in.bias")
    assert cli.main(["export", str(file), str(tmp_path / "out"), "--model", str(folder)]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"fairgen export: diffusion.model: {folder}/vae does not hold the weights")
    assert "decoder.conv_in.bias is missing" in error


def test_several_faults_are_counted() -> None:
    with pytest.raises(
        FairgenError,
        match=r"^k: f does not hold .*: a is missing \(and 1 more\), c is unknown to the network; ",
    ):
        weights.complete("f", ["b", "a"], ["c", "x.position_ids"], key="k")
    weights.complete("f", [], ["x.position_ids"])


def test_tied_weights_can_be_stored(tmp_path: Path) -> None:
    """Some of timm's models use one layer in several places, which safetensors alone refuses, at the end of a
    training.
    """
    layer = torch.nn.Linear(2, 2)
    state = {**torch.nn.Sequential(layer, layer).state_dict(), "row": layer.weight.detach()[1]}
    save_file(tensors.storable(state), tmp_path / "a.safetensors")
    found = load_file(tmp_path / "a.safetensors")
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], x) for name, x in state.items())
