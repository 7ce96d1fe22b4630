"""Adapters as other programs read them: compared by what the exported denoiser answers."""

from pathlib import Path

import miniatures
import pytest
import single_files
import torch

from fairgen import cli
from fairgen.models import adapters, diffusion, text_encoders

LATENTS = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def base_of(place: Path, config: Path | None = None) -> diffusion.Base:
    return diffusion.Base(str(place), None, None, "float32", 32, config and str(config))


def answer(unet: torch.nn.Module, base: diffusion.Base) -> torch.Tensor:
    """The denoiser's answer to a fixed input."""
    with torch.inference_mode():
        return diffusion.predict(unet, LATENTS, torch.tensor(500), text_encoders.encode_prompts(base, ["a duck on lake"]))


def adapter_of(base: diffusion.Base, kind: str, path: Path) -> torch.Tensor:
    """Write an adapter with random weights; returns its denoiser's answer."""
    unet = diffusion.load_unet(base)
    if kind == "lora":
        adapters.inject_lora(unet, 2, 5)
        unet.eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for name, weight in unet.named_parameters():
            if kind == "full" or "lora_" in name:
                weight += 0.05 * torch.randn(weight.shape)
                weight.copy_(weight.half())  # full weights are stored so
    about = {"group": "g", "cluster": 1, "images": 3, "prompt": "a V", "rank": 2, "alpha": 5, "dora": False}
    adapters.write(path, unet, {"kind": kind, "base": diffusion.identity(base), **about})
    return answer(unet, base)


@pytest.mark.parametrize("architecture", ["sd15", "sdxl"])
def test_a_full_finetune_becomes_a_pipeline_folder(tmp_path: Path, architecture: str, capsys: pytest.CaptureFixture) -> None:
    from diffusers import DiffusionPipeline

    folder = miniatures.build(tmp_path, architecture)
    wanted = adapter_of(base_of(folder), "full", tmp_path / "a.safetensors")
    assert cli.main(["export", str(tmp_path / "a.safetensors"), str(tmp_path / "new/out"), "--model", str(folder)]) == 0
    assert "full of g, cluster 1; its prompt is 'a V'" in capsys.readouterr().out
    pipeline = DiffusionPipeline.from_pretrained(tmp_path / "new/out")
    assert torch.allclose(answer(pipeline.unet, base_of(folder)), wanted, atol=1e-6)
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline("a duck", num_inference_steps=5, height=32, width=32).images[0].size == (32, 32)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]


def test_a_full_finetune_of_a_single_file_becomes_a_pipeline_folder(tmp_path: Path) -> None:
    from diffusers import StableDiffusionPipeline

    folder = miniatures.build(tmp_path, "sd2")
    config = single_files.describe(folder, tmp_path / "config")
    base = base_of(single_files.write(folder, tmp_path / "sd.safetensors"), config)
    wanted = adapter_of(base, "full", tmp_path / "a.safetensors")
    words = ["export", tmp_path / "a.safetensors", tmp_path / "out", "--model", base.model, "--config", config]
    assert cli.main([str(word) for word in words]) == 0
    assert torch.allclose(answer(StableDiffusionPipeline.from_pretrained(tmp_path / "out").unet, base), wanted, atol=1e-6)


@pytest.mark.parametrize("output", ["folder", "lora.safetensors"])
def test_a_lora_becomes_a_plain_lora_file(tmp_path: Path, output: str) -> None:
    from diffusers import StableDiffusionPipeline

    folder = miniatures.build(tmp_path, "sd15")
    wanted = adapter_of(base_of(folder), "lora", tmp_path / "a.safetensors")
    assert cli.main(["export", str(tmp_path / "a.safetensors"), str(tmp_path / output)]) == 0
    pipeline = StableDiffusionPipeline.from_pretrained(folder)
    pipeline.load_lora_weights(tmp_path / output)
    assert torch.allclose(answer(pipeline.unet, base_of(folder)), wanted, atol=1e-5)


def test_one_adapter_of_a_shared_batch_becomes_a_plain_lora_file(tmp_path: Path) -> None:
    """The file is the one that the adapter would have if it had been trained alone."""
    alone, group, out = (tmp_path / f"{name}.safetensors" for name in ("a", "group", "out"))
    adapter_of(base_of(miniatures.build(tmp_path, "sd15")), "lora", alone)
    state, facts = adapters.load(alone), adapters.read_facts(alone)
    other = {name: x + 1 for name, x in state.items()}
    config = adapters.lora_config(facts["rank"], facts["alpha"], facts["dora"])
    adapters.write_group(group, {"0": (other, {**facts, "cluster": 0}), "1": (state, facts)}, config)
    assert cli.main(["export", f"{group}#1", str(out)]) == 0
    assert out.read_bytes() == alone.read_bytes()


def test_what_cannot_be_exported_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder, other = miniatures.build(tmp_path, "sd15"), miniatures.build(tmp_path, "sd2")
    full, empty, none, group = (tmp_path / f"{name}.safetensors" for name in ("full", "empty", "none", "group"))
    adapter_of(base_of(folder), "full", full)
    adapters.write_empty(empty, {"images": 0, "reason": "borrows from d"})
    adapters.write_group(group, {"0": ({}, {}), "2": ({}, {})}, adapters.lora_config(1, 1, False))
    none.touch()
    for words, said in (
        ([none, "out"], "none.safetensors is no adapter of fairgen"),
        ([empty, "out"], "empty.safetensors holds no generator: borrows from d"),
        ([group, "out"], "holds the adapters of a group; name one of group.safetensors#0, group.safetensors#2"),
        ([full, folder], f"{folder} exists; choose another output"),
        ([full, "out"], "was trained on a local base"),
        ([full, "out", "--model", other], "the adapter was trained on base"),
    ):
        words = [tmp_path / "out" if word == "out" else word for word in words]
        assert cli.main(["export", *(str(word) for word in words)]) == 1
        error = capsys.readouterr().err
        assert said in error.splitlines()[-1]
        assert error.splitlines()[-1].startswith("fairgen export: ")
        assert not (tmp_path / "out").exists()
