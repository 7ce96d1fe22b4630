"""Text encoders that are trained along: only where they are asked for, stored exactly, and applied wherever
the adapter is.
"""

import dataclasses
from pathlib import Path

import miniatures
import numpy as np
import pytest
import torch
from adapting import adapt_settings, changed

from fairgen import cli
from fairgen.core.errors import FairgenError
from fairgen.embedded import birds
from fairgen.generate import sample, text_adapters
from fairgen.generate.solver import Solver
from fairgen.generate.training import train
from fairgen.models import adapters, base_model, diffusion, text_encoders
from fairgen.models.parts import Encoders

PROMPTS = ["a duck on lake", ""]
ARCHITECTURES = ["sd15", "sd2", "sdxl"]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, base_model.Base]:
    place = tmp_path_factory.mktemp("bases")
    return {
        name: base_model.Base(str(miniatures.build(place, name)), None, None, "float32", 32)
        for name in ARCHITECTURES
    }


def trained(
    base: base_model.Base, kind: str, path: Path, **recipe: object
) -> tuple[Encoders, torch.nn.Module]:
    """Train an adapter, write its file, and return its text encoders and denoiser."""
    recipe = {"text_lr": 0.05, "lr": 0.05, "rank": 2, "alpha": 5, "prior_weight": 1, **recipe}
    settings = changed(adapt_settings(kind, base), **recipe)
    pixels = np.stack([birds.users(5, "train", "landbird", "land", i).pixels for i in range(4)])
    encoders = text_adapters.load(settings, base)
    unet, losses = train(settings, base, ("a V duck", pixels), [("a duck", pixels)], "g/0", None, encoders)
    assert np.isfinite(losses["loss"]).all()
    facts = {"kind": kind, "base": diffusion.identity(base), "rank": 2, "alpha": 5, "dora": False}
    facts |= {"group": "g", "cluster": 0, "images": 4, "prompt": "a V duck"}
    adapters.write(path, unet, facts, text_adapters.state(encoders, kind))
    return encoders, unet


def said(base: base_model.Base, encoders: Encoders) -> torch.Tensor:
    """What the denoiser gets to read."""
    with torch.inference_mode():
        found = text_encoders.encode(base, encoders, PROMPTS)
    return found.states if found.pooled is None else torch.cat([found.states.flatten(1), found.pooled], 1)


@pytest.mark.parametrize("kind", ["lora", "full"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_text_encoders_come_back_as_they_were(
    bases: dict, tmp_path: Path, architecture: str, kind: str
) -> None:
    base, file = bases[architecture], tmp_path / "a.safetensors"
    encoders, unet = trained(base, kind, file)
    again = text_adapters.adapted(file, base, diffusion.identity(base))
    assert torch.allclose(said(base, again), said(base, encoders), atol=1e-5)
    plain = text_encoders.load_text(base)
    assert (said(base, plain) - said(base, encoders)).abs().max() > 0.05
    for part in plain:
        before, after = plain[part][1].state_dict(), encoders[part][1].state_dict()
        names = [name for name in after if "lora_" not in name]
        same = [torch.equal(after[name], before[name.replace("base_layer.", "")]) for name in names]
        assert all(same) if kind == "lora" else not all(same)
    fresh = diffusion.load_denoiser(base)
    adapters.apply(file, fresh, diffusion.identity(base))
    for name, weight in fresh.state_dict().items():
        assert torch.equal(weight, unet.state_dict()[name])
    with pytest.raises(FairgenError, match="the adapter was trained on base"):
        text_adapters.adapted(file, base, "another")


def test_text_encoders_are_left_alone_by_default(bases: dict, tmp_path: Path) -> None:
    encoders, _ = trained(bases["sd15"], "lora", tmp_path / "a.safetensors", text_lr=0)
    assert encoders == {}
    assert not text_adapters.there(tmp_path / "a.safetensors")


def test_text_encoders_have_their_own_learning_rate(bases: dict, tmp_path: Path) -> None:
    """At a rate of next to nothing they stay where they are, while the denoiser moves."""
    base, file = bases["sd15"], tmp_path / "a.safetensors"
    encoders, _ = trained(base, "full", file, text_lr=1e-12)
    assert torch.allclose(said(base, encoders), said(base, text_encoders.load_text(base)), atol=1e-5)
    fresh, plain = diffusion.load_denoiser(base), diffusion.load_denoiser(base)
    adapters.apply(file, fresh, diffusion.identity(base))
    assert (fresh.conv_in.weight - plain.conv_in.weight).abs().max() > 0.05


@pytest.mark.parametrize("architecture", ["sd15", "sdxl"])
def test_a_plain_pipeline_loads_the_text_encoders(
    bases: dict, tmp_path: Path, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import DiffusionPipeline
    from transformers.integrations import peft

    # transformers 5.24 asks for an unreleased peft
    monkeypatch.setattr(peft, "check_peft_version", lambda min_version: None)
    base, file = bases[architecture], tmp_path / "a.safetensors"
    encoders, _ = trained(base, "lora", file)
    pipeline = DiffusionPipeline.from_pretrained(base.model)
    pipeline.load_lora_weights(file)
    theirs = {part: (tokenizer, getattr(pipeline, part)) for part, (tokenizer, _) in encoders.items()}
    assert torch.allclose(said(base, theirs), said(base, encoders), atol=1e-5)


@pytest.mark.parametrize("architecture", ["sd15", "sdxl"])
def test_a_pipeline_folder_has_the_text_encoders(bases: dict, tmp_path: Path, architecture: str) -> None:
    base, file = bases[architecture], tmp_path / "a.safetensors"
    encoders, _ = trained(base, "full", file)
    assert cli.main(["export", str(file), str(tmp_path / "out"), "--model", base.model]) == 0
    exported = text_encoders.load_text(dataclasses.replace(base, model=str(tmp_path / "out")))
    assert torch.allclose(said(base, exported), said(base, encoders), atol=1e-5)


def test_samples_are_drawn_with_the_adapters_own_text(
    bases: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, read = bases["sd15"], []
    wanted = []
    for name in "ab":
        encoders, _ = trained(base, "lora", tmp_path / name, text_lr=0.05 if name == "a" else 0.1)
        wanted.append(said(base, encoders))
    monkeypatch.setattr(
        sample, "sample_images", lambda unet, vae, base, text, *rest: read.append(text) or iter(())
    )
    solver = Solver("unipc", 1, 2.0, "", 1)
    settings = sample.Sample(2, 1, 0, solver, "V", base, {"g": PROMPTS[0]}, {"g": None})
    chosen = [sample.Source(tmp_path / name, 0, 1) for name in "ab"]
    list(sample.rows(settings, "g", chosen, False, diffusion.identity(base)))
    assert all(
        torch.allclose(text.states, states, atol=1e-5) for text, states in zip(read, wanted, strict=True)
    )
    assert (wanted[0] - wanted[1]).abs().max() > 0.05


def test_half_precision_bases_train_float32_weights(bases: dict, tmp_path: Path) -> None:
    base = dataclasses.replace(bases["sdxl"], dtype="bfloat16")
    for kind in ("lora", "full"):
        encoders, _ = trained(base, kind, tmp_path / "a.safetensors")
        for _, encoder in encoders.values():
            assert {p.dtype for p in encoder.parameters() if p.requires_grad} == {torch.float32}
