"""Adapters as other programs read them: compared by what the exported denoiser answers."""

import json
import os
from pathlib import Path

import exporting
import miniatures
import pytest
import single_files
import torch
from exporting import base_of
from safetensors.torch import load_file

from fairgen import cli
from fairgen.core import safetensors_header
from fairgen.embedded import tiny
from fairgen.models import adapters, base_model, classifier, diffusion, lora, text_encoders

LATENTS = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def answer(unet: torch.nn.Module, base: base_model.Base) -> torch.Tensor:
    """The denoiser's answer to a fixed input."""
    with torch.inference_mode():
        return diffusion.predict(
            unet, LATENTS, torch.tensor(500), text_encoders.encode_prompts(base, ["a duck on lake"])
        )


def adapter_of(base: base_model.Base, kind: str, path: Path) -> torch.Tensor:
    """Write an adapter with random weights; returns its denoiser's answer."""
    return answer(exporting.adapter_of(base, kind, path), base)


@pytest.mark.parametrize("architecture", ["sd15", "sdxl"])
def test_a_full_finetune_becomes_a_pipeline_folder(
    tmp_path: Path, architecture: str, capsys: pytest.CaptureFixture
) -> None:
    from diffusers import DiffusionPipeline

    folder = miniatures.build(tmp_path, architecture)
    wanted = adapter_of(base_of(folder), "full", tmp_path / "a.safetensors")
    assert (
        cli.main(
            ["export", str(tmp_path / "a.safetensors"), str(tmp_path / "new/out"), "--model", str(folder)]
        )
        == 0
    )
    assert "full of g, cluster 1; its prompt is 'a V'" in capsys.readouterr().out
    pipeline = DiffusionPipeline.from_pretrained(tmp_path / "new/out")
    assert torch.allclose(answer(pipeline.unet, base_of(folder)), wanted, atol=1e-6)
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline("a duck", num_inference_steps=5, height=32, width=32).images[0].size == (32, 32)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]
    written = [path for path in (tmp_path / "new/out").rglob("*") if path.is_file()]
    assert [path for path in written if str(tmp_path).encode() in path.read_bytes()] == []
    index = json.loads((tmp_path / "new/out/model_index.json").read_text())
    assert index.get("_name_or_path", folder.name) == folder.name


def test_a_full_finetune_of_a_single_file_becomes_a_pipeline_folder(tmp_path: Path) -> None:
    from diffusers import StableDiffusionPipeline

    folder = miniatures.build(tmp_path, "sd2")
    config = single_files.describe(folder, tmp_path / "config")
    base = base_of(single_files.write(folder, tmp_path / "sd.safetensors"), config)
    wanted = adapter_of(base, "full", tmp_path / "a.safetensors")
    words = [
        "export",
        tmp_path / "a.safetensors",
        tmp_path / "out",
        "--model",
        base.model,
        "--config",
        config,
    ]
    assert cli.main([str(word) for word in words]) == 0
    assert torch.allclose(
        answer(StableDiffusionPipeline.from_pretrained(tmp_path / "out").unet, base), wanted, atol=1e-6
    )


@pytest.mark.parametrize("output", ["folder", "lora.safetensors"])
def test_a_lora_becomes_a_plain_lora_file(tmp_path: Path, output: str) -> None:
    from diffusers import StableDiffusionPipeline

    folder = miniatures.build(tmp_path, "sd15")
    wanted = adapter_of(base_of(folder), "lora", tmp_path / "a.safetensors")
    words = ["--license", "mit", "--base-license", "openrail"]
    assert cli.main(["export", str(tmp_path / "a.safetensors"), str(tmp_path / output), *words]) == 0
    alone = (tmp_path / output).is_file()  # without a card, so the file says it
    about = safetensors_header.metadata(next((tmp_path / output).glob("*.saf*"), tmp_path / output))
    assert (about.get("license"), about.get("base_license")) == (
        ("mit", "openrail") if alone else (None, None)
    )
    pipeline = StableDiffusionPipeline.from_pretrained(folder)
    pipeline.load_lora_weights(tmp_path / output)
    assert torch.allclose(answer(pipeline.unet, base_of(folder)), wanted, atol=1e-5)


@pytest.mark.parametrize("layout", ["diffusers", "kohya"])
def test_a_lora_has_the_dtype_and_no_place_of_this_machine(tmp_path: Path, layout: str) -> None:
    """The card reads the dtype from the file; a folder that reads like a hub id is known by the identity."""
    folder, own = miniatures.build(tmp_path, "sd15"), tmp_path / "a.safetensors"
    adapter_of(base_of(folder), "lora", own)
    base = {"model": "bases/alice/sd15", "config": "/home/alice/config"}
    facts = {**adapters.read_facts(own), "settings": {"base": base, "seed": 3}}
    adapters.write_lora(own, adapters.load(own), facts, adapters.read_configs(own))
    words = ["--layout", layout, *(["--model", str(folder)] if layout == "kohya" else [])]
    assert cli.main(["export", str(own), str(tmp_path / "out"), "--dtype", "bfloat16", *words]) == 0
    (file,) = (tmp_path / "out").glob("*.safetensors")
    assert {x.dtype for x in load_file(file).values()} == {torch.bfloat16}
    assert "| dtype | `bfloat16` |" in (tmp_path / "out/README.md").read_text()
    settings = json.loads(safetensors_header.metadata(file)["fairgen"])["settings"]
    assert settings == {"base": {"model": "sd15", "config": "config"}, "seed": 3}


def test_one_adapter_of_a_shared_batch_becomes_a_plain_lora_file(tmp_path: Path) -> None:
    """The file is the one that the adapter would have if it had been trained alone; it names no place, and
    float32 is what it has, so not a byte differs.
    """
    alone, group, out = (tmp_path / f"{name}.safetensors" for name in ("a", "group", "out"))
    adapter_of(base_of(miniatures.build(tmp_path, "sd15")), "lora", alone)
    state, facts = adapters.load(alone), adapters.read_facts(alone)
    other = {name: x + 1 for name, x in state.items()}
    config = lora.lora_config(facts["rank"], facts["alpha"], facts["dora"])
    adapters.write_group(group, {"0": (other, {**facts, "cluster": 0}), "1": (state, facts)}, "unet", config)
    assert cli.main(["export", f"{group}#1", str(out)]) == 0
    assert out.read_bytes() == alone.read_bytes()


def test_what_cannot_be_exported_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder, other = miniatures.build(tmp_path, "sd15"), miniatures.build(tmp_path, "sd2")
    full, empty, none, group = (
        tmp_path / f"{name}.safetensors" for name in ("full", "empty", "none", "group")
    )
    adapter_of(base_of(folder), "full", full)
    started = tmp_path / "pretrained.safetensors"
    settings = classifier.Classifier("resnet10t", {"channels": [8, 8, 16, 16], "stem_width": 8}, False, 32)
    network, steps = classifier.build(settings, 2, 0), {"gradient_steps": 5}
    classifier.save(started, network, steps)
    adapters.write_empty(empty, {"images": 0, "reason": "borrows from d"})
    adapters.write_group(group, {"0": ({}, {}), "2": ({}, {})}, "unet", lora.lora_config(1, 1, False))
    none.touch()
    for words, said in (
        ([none, "out"], "none.safetensors is no adapter of fairgen"),
        (
            [tmp_path / "gone", "out"],
            "gone: give an adapter (adapters/<group>/<cluster>.safetensors), a classifier",
        ),
        ([tmp_path, "out"], "or a synthetic set (selection.parquet)"),
        (
            [tiny.CLIP / "model.safetensors", "out"],
            "is no adapter of fairgen (no metadata of fairgen); give a file of an",
        ),
        ([started, "out"], "pretrained.safetensors: the file does not say which classifier and classes it"),
        ([f"{group}#1", "out"], "group.safetensors holds no adapter of cluster 1; it holds 0, 2"),
        ([f"{full}#1", "out"], "holds no adapter of cluster 1; it holds a single adapter"),
        ([empty, "out"], "empty.safetensors holds no generator: borrows from d"),
        (
            [group, "out"],
            "holds the adapters of a group; name one of group.safetensors#0, group.safetensors#2",
        ),
        ([full, folder], f"{folder} exists; choose another output"),
        ([full, "out"], "was trained on a local base"),
        ([full, "out", "--model", other], "the adapter was trained on base"),
    ):
        words = [tmp_path / "out" if word == "out" else word for word in words]
        assert cli.main(["export", *(str(word) for word in words)]) == 1
        error = capsys.readouterr().err
        assert said in error.splitlines()[-1]
        assert error.splitlines()[-1].startswith("fairgen export: ")
        assert "Traceback" not in error
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_small_step_is_in_the_exported_weights(tmp_path: Path, dtype: str) -> None:
    """What half precision would lose; whoever asks for half precision gets the trained weights rounded
    once.
    """
    base, file = base_of(miniatures.build(tmp_path, "sd15")), tmp_path / "a.safetensors"
    unet = diffusion.load_denoiser(base)
    with torch.no_grad():
        for weight in unet.parameters():
            weight += 1e-6
    about = {"group": "g", "cluster": 1, "images": 3, "prompt": "a V", "rank": 0, "alpha": 0, "dora": False}
    adapters.write(file, unet, {"kind": "full", "base": diffusion.identity(base), **about})
    assert (
        cli.main(["export", str(file), str(tmp_path / "out"), "--model", base.model, "--dtype", dtype]) == 0
    )
    (stored,) = (tmp_path / "out/unet").glob("*.safetensors")
    found = load_file(stored)
    assert all(
        torch.equal(found[name], weight.to(getattr(torch, dtype)))
        for name, weight in unet.state_dict().items()
    )


@pytest.mark.parametrize("kind", ["lora", "full"])
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o007, 0o660)])
def test_exported_files_have_the_permissions_of_the_umask(
    tmp_path: Path, kind: str, mask: int, mode: int
) -> None:
    folder, file = miniatures.build(tmp_path, "sd15"), tmp_path / "a.safetensors"
    adapter_of(base_of(folder), kind, file)
    before = os.umask(mask)
    words = ["--model", str(folder)] if kind == "full" else []
    try:
        assert cli.main(["export", str(file), str(tmp_path / "out"), *words]) == 0
    finally:
        os.umask(before)
    found = {path: path.stat().st_mode & 0o777 for path in (tmp_path / "out").rglob("*")}
    assert {bits for path, bits in found.items() if path.is_file()} == {mode}
    assert {bits for path, bits in found.items() if path.is_dir()} <= {mode | mode >> 2 & 0o111}
