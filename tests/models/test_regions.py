"""Which blocks of a network are compiled, where their code lies, and that trainings agree with plain ones."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from adapting import adapt_settings, changed

from fairgen.embedded import birds
from fairgen.generate import training, training_shared
from fairgen.models import base_model, diffusion, regions


def test_residual_and_transformer_blocks_are_the_regions(base: base_model.Base) -> None:
    kinds = [type(block).__name__ for block in regions.regions(diffusion.load_denoiser(base))]
    assert set(kinds) == {"ResnetBlock2D", "BasicTransformerBlock"}
    assert len(kinds) > 4


def test_compiled_code_lies_in_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(regions.FOLDER, raising=False)
    monkeypatch.delenv("FAIRGEN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert regions.use_cache_folder() == tmp_path / "fairgen/inductor"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    assert regions.use_cache_folder() == tmp_path / "fairgen/inductor"  # for the process


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
