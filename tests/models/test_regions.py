"""Which blocks of a network are compiled, where their code lies, and that trainings agree with plain ones."""

import os
import sys
import tempfile
import time
from pathlib import Path

import flow_miniatures
import numpy as np
import pytest
import torch
from adapting import adapt_settings, changed
from chains import base_of

from fairgen.embedded import birds
from fairgen.generate import training, training_shared
from fairgen.generate.solver import Solver, sample_images
from fairgen.models import base_model, diffusion, lora, regions, text_encoders


def test_residual_and_transformer_blocks_are_the_regions(base: base_model.Base) -> None:
    kinds = [type(block).__name__ for block in regions.regions(diffusion.load_denoiser(base))]
    assert set(kinds) == {"ResnetBlock2D", "BasicTransformerBlock"}
    assert len(kinds) > 4


def test_compiled_code_lies_in_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's, else the user's cache, else where PyTorch puts it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("FAIRGEN_CACHE", raising=False)
    for name in ("named", "torchinductor_cache"):
        monkeypatch.setenv(regions.FOLDER, str(tmp_path / name))
        regions.use_cache_folder()
        assert os.environ[regions.FOLDER] == str(tmp_path / name)
    monkeypatch.delenv(regions.FOLDER)
    (tmp_path / "fairgen").touch()
    regions.use_cache_folder()
    assert regions.FOLDER not in os.environ
    (tmp_path / "fairgen").unlink()
    regions.use_cache_folder()
    assert Path(os.environ[regions.FOLDER]) == tmp_path / "fairgen/inductor"
    # the compiler's import has been there before
    monkeypatch.setenv(regions.FOLDER, f"{tempfile.gettempdir()}/torchinductor_somebody")
    regions.use_cache_folder()
    assert Path(os.environ[regions.FOLDER]) == tmp_path / "fairgen/inductor"


def test_what_a_killed_compiler_has_left_goes(tmp_path: Path) -> None:
    for name, content, age in (("killed", "", 999), ("writing", "", 0), ("whole", "code", 999)):
        path = tmp_path / f"{name}.so"
        path.write_text(content)
        os.utime(path, (time.time() - age,) * 2)
    regions.sweep(tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == {"writing", "whole"}


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Blocks are traced as for Inductor, and run as they are: seconds in place of minutes."""

    def compile_block(self: torch.nn.Module, dynamic: bool) -> None:
        self._compiled_call_impl = torch.compile(self._call_impl, dynamic=dynamic, backend="eager")

    monkeypatch.setattr(torch.nn.Module, "compile", compile_block)
    monkeypatch.setenv(regions.FOLDER, str(tmp_path))
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


def test_nothing_is_imported_for_what_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch._dynamo", raising=False)
    with regions.uncompiled():
        assert "torch._dynamo" not in sys.modules


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", ["lora", "full", "shared"])
def test_a_compiled_training_agrees_with_a_plain_one(
    base: base_model.Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv(regions.FOLDER, str(tmp_path))
    pixels = np.stack([birds.users(5, "train", "landbird", "land", i).pixels for i in range(6)])
    prompt, priors = "a landbird on land V", [("a landbird on land", pixels)]
    settings = adapt_settings("full" if kind == "full" else "lora", base)
    losses = []
    for compiled in (False, True):
        own = changed(settings, compile=compiled, steps=5)
        if kind == "shared":
            clusters = {"g/0": pixels[:3], "g/1": pixels[3:]}
            found = training_shared.train(own, base, prompt, clusters, priors, "g")
            losses.append([about["loss"] for _, about in found])
        else:
            losses.append(training.train(own, base, (prompt, pixels), priors, "g/0")[1]["loss"])
    assert losses[0] != losses[1]
    assert torch.allclose(torch.tensor(losses[0]), torch.tensor(losses[1]), rtol=1e-3)
    assert any(tmp_path.iterdir())
