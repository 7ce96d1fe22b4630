"""`diffusion.memory: low`: frozen layers in eight bits, with nearly the same answers and gradients."""

import dataclasses
from pathlib import Path

import flow_miniatures
import numpy as np
import pytest
import torch
from adapting import adapt_settings, changed
from chains import base_of
from torch import nn

from fairgen.generate.solver import Solver, sample_images
from fairgen.generate.training import train
from fairgen.generate.training_shared import train as train_shared
from fairgen.models import adapters, base_model, diffusion, eight_bits, text_encoders


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers of miniatures are in eight bits too."""
    monkeypatch.setattr(eight_bits, "SMALL", 0)


def layers(network: nn.Module) -> int:
    """How many layers are in eight bits."""
    return sum(isinstance(layer, eight_bits.EightBitLinear) for layer in network.modules())


def low(base: base_model.Base) -> base_model.Base:
    return dataclasses.replace(base, memory="low")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_weight_is_off_by_half_a_step_at_most(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(300, 40).to(dtype).requires_grad_(False)
    layer.weight[3] = 0
    reduced = eight_bits.EightBitLinear(layer)
    steps = layer.weight.float().abs().amax(1, keepdim=True) / 127
    difference = (reduced.codes * reduced.scale.float() - layer.weight.float()).abs()
    assert (difference <= 0.51 * steps + 1e-7).all()
    assert reduced.codes.dtype == torch.int8
    assert reduced.weight.dtype == reduced.scale.dtype == dtype
    assert not list(p for p in reduced.parameters() if p.requires_grad)


def test_gradients_pass_and_the_graph_holds_no_weight() -> None:
    """The gradient of x is that of the rounded weights; what is saved for it is in eight bits."""
    torch.manual_seed(0)
    reduced = eight_bits.EightBitLinear(nn.Linear(64, 48).requires_grad_(False))
    plain = nn.Linear(64, 48)
    plain.load_state_dict({"weight": reduced.weight, "bias": reduced.bias})
    x, saved = torch.randn(5, 7, 64), []
    given = [x.clone().requires_grad_() for _ in range(2)]
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        found = reduced(given[0])
    assert torch.allclose(found, plain(given[1]), atol=1e-5)
    assert not [t for t in saved if t.dtype != torch.int8 and t.numel() >= 64 * 48]
    weights = torch.randn(found.shape)
    (found * weights).sum().backward()
    (plain(given[1]) * weights).sum().backward()
    assert torch.allclose(given[0].grad, given[1].grad, atol=1e-4)


def test_what_shares_its_weights_with_an_embedding_stays() -> None:
    network = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 9, bias=False), nn.Linear(4, 4))
    network[1].weight = network[0].weight
    assert [type(x).__name__ for x in eight_bits.reduce(network)] == ["Embedding", "Linear", "EightBitLinear"]


@pytest.mark.parametrize("architecture", ["sd", *flow_miniatures.ARCHITECTURES])
def test_images_are_nearly_those_of_the_base(
    base: base_model.Base, flow_folders: dict, architecture: str
) -> None:
    """Text encoders and denoiser are in eight bits, and the images look alike."""
    whole = base if architecture == "sd" else base_of(flow_folders[architecture])
    solver, found = Solver("euler", 4, 2.0, "", 2), []
    for own in (whole, low(whole)):
        encoders = text_encoders.load_text(own)
        unet, vae = diffusion.load_denoiser(own), diffusion.load_vae(own)
        text = text_encoders.encode_prompts(own, ["a duck on land", ""])
        found.append(np.stack(list(sample_images(unet, vae, own, text, [1, 2], solver))).astype(int))
        assert all(
            (layers(x) > 0) == (own.memory == "low") for x in (unet, *(e for _, e in encoders.values()))
        )
        assert vae.use_slicing == (own.memory == "low")
    exact, rough = found
    assert not np.array_equal(exact, rough)
    assert np.abs(exact - rough).mean() < 0.1 * np.abs(exact - exact.mean()).mean()


@pytest.mark.parametrize("recipe", [{}, {"dora": True}, {"gradient_checkpointing": True}], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_lora_trains_on_a_base_in_eight_bits_and_comes_back(
    base: base_model.Base, tmp_path: Path, dtype: str, recipe: dict
) -> None:
    own = low(dataclasses.replace(base, dtype=dtype))
    pixels = np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3), dtype=np.uint8)
    settings = changed(adapt_settings("lora", own), **recipe)
    unet, losses = train(settings, own, ("a duck V", pixels), [], "g/0")
    assert layers(unet) and np.isfinite(losses["loss"]).all()
    kind = {"kind": "lora", "rank": 4, "alpha": 8, "dora": bool(recipe.get("dora")), "images": 4}
    adapters.write(tmp_path / "a", unet, {**kind, "base": diffusion.identity(own)})
    fresh = diffusion.load_denoiser(own)
    adapters.apply(tmp_path / "a", fresh, diffusion.identity(own))
    x = torch.randn(2, unet.config.in_channels, 8, 8)
    text = text_encoders.encode_prompts(own, ["a duck", "a crow"])
    with torch.inference_mode():
        answers = [diffusion.predict(net, x, torch.tensor([10, 500]), text) for net in (unet, fresh)]
    assert torch.allclose(*answers, atol=1e-5 if dtype == "float32" else 0.05)


@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize("architecture", flow_miniatures.ARCHITECTURES)
def test_a_base_in_eight_bits_computes_in_its_own_dtype(
    flow_folders: dict, architecture: str, dora: bool
) -> None:
    """Training and drawing, though LoRA's matrices are float32 and may be the first weights of all."""
    base = low(base_of(flow_folders[architecture], dtype="bfloat16"))
    settings = changed(adapt_settings("lora", base, min_snr=0), steps=1, batch=2, dora=dora)
    pixels = np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3), dtype=np.uint8)
    unet, losses = train(settings, base, ("a duck V", pixels), [], "g/0")
    assert np.isfinite(losses["loss"]).all()
    assert {eight_bits.dtype_of(unet), eight_bits.dtype_of(diffusion.load_denoiser(base))} == {torch.bfloat16}
    read = set()
    for layer in unet.modules():
        if isinstance(layer, eight_bits.EightBitLinear):
            layer.register_forward_hook(lambda _, given, found: read.update((given[0].dtype, found.dtype)))
    text = text_encoders.encode_prompts(base, ["a duck", ""])
    solver = Solver("euler", 1, 2.0, "", 1)
    assert len(list(sample_images(unet, diffusion.load_vae(base), base, text, [1], solver))) == 1
    assert read == {torch.bfloat16}


def test_a_shared_batch_trains_on_a_base_in_eight_bits(base: base_model.Base) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3), dtype=np.uint8)
    settings = adapt_settings("lora", low(base))
    named = {"g/0": pixels, "g/1": pixels}
    trained = train_shared(settings, low(base), "a duck V", named, [], "g")
    alone, _ = train(settings, low(base), ("a duck V", pixels), [], "g/1")
    name = next(name for name in trained[1][0] if "lora_B" in name)
    weight = alone.get_submodule(name.removeprefix("unet.").removesuffix(".weight")).default.weight
    assert torch.allclose(trained[1][0][name], weight, atol=1e-4)


def test_a_full_finetune_has_no_layer_in_eight_bits(base: base_model.Base) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3), dtype=np.uint8)
    settings = adapt_settings("full", low(base))
    unet, _ = train(settings, low(base), ("a duck V", pixels), [("a duck", pixels)], "g/0")
    assert layers(unet) == 0
