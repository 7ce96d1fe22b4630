"""Compiled blocks: the same images, nothing compiled anew for the next adapter, one folder for all jobs."""

import os
from pathlib import Path

import flow_miniatures
import numpy as np
import pytest
import torch
from chains import base_of

from fairgen.generate import compiled_blocks
from fairgen.generate.solver import Solver, sample_images
from fairgen.models import base_model, diffusion, lora, text_encoders


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks are traced as for Inductor, and run as they are: seconds in place of minutes."""

    def compile_block(self: torch.nn.Module, dynamic: bool) -> None:
        self._compiled_call_impl = torch.compile(self._call_impl, dynamic=dynamic, backend="eager")

    monkeypatch.setattr(torch.nn.Module, "compile", compile_block)
    monkeypatch.setenv(compiled_blocks.CACHE, "named by the user")
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()


def test_the_next_adapter_compiles_nothing_anew(base: base_model.Base, traced: None) -> None:
    """In batches of two sizes, those with guidance and those without."""
    unet, vae = diffusion.load_denoiser(base), diffusion.load_vae(base)
    text = text_encoders.encode_prompts(base, ["a duck on lake", ""])
    lora.inject_lora(unet, 2, 5)
    unet.eval()
    settings = {"guidance_interval": (0.5, 0.9)}
    images = []
    for compiled in (False, True):
        solver = Solver("dpmsolver++", 3, 2.0, "", 2, compile=compiled, **settings)
        for seed in (0, 1):
            torch.manual_seed(seed)
            with torch.no_grad():
                for weight in (p for n, p in unet.named_parameters() if "lora_" in n):
                    weight.copy_(0.1 * torch.randn(weight.shape))
            images.append(np.stack(list(sample_images(unet, vae, base, text, [1, 2, 3], solver))).astype(int))
            counts = torch._dynamo.utils.counters["stats"]["unique_graphs"]
            if compiled and seed == 0:
                first = counts
    assert 0 < first == counts
    assert not torch._dynamo.utils.counters["graph_break"]
    assert all(
        np.abs(found - wanted).max() <= 1 for wanted, found in zip(images[:2], images[2:], strict=True)
    )
    assert np.abs(images[0] - images[1]).mean() > 1


@pytest.mark.parametrize("architecture", flow_miniatures.ARCHITECTURES)
def test_blocks_of_transformers(flow_folders: dict, traced: None, architecture: str) -> None:
    base, images = base_of(flow_folders[architecture]), []
    unet, vae = diffusion.load_denoiser(base), diffusion.load_vae(base)
    text = text_encoders.encode_prompts(base, ["a duck on lake", ""])
    for compiled in (False, True):
        solver = Solver("euler", 2, 2.0, "", 2, compile=compiled, guidance_interval=(0.9, 1))
        images.append(np.stack(list(sample_images(unet, vae, base, text, [1, 2], solver))).astype(int))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"]
    assert np.abs(images[0] - images[1]).max() <= 1


def test_what_is_compiled_is_kept_in_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compiled_blocks.CACHE, "named by the user")
    compiled_blocks.keep_compiled(tmp_path / "a")
    assert os.environ[compiled_blocks.CACHE] == "named by the user"
    monkeypatch.delenv(compiled_blocks.CACHE)
    (tmp_path / "file").touch()
    compiled_blocks.keep_compiled(tmp_path / "file/b")
    assert compiled_blocks.CACHE not in os.environ
    compiled_blocks.keep_compiled(tmp_path / "c/d")
    assert Path(os.environ[compiled_blocks.CACHE]) == tmp_path / "c/d"
