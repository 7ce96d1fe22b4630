"""Several adapters in one batch: each product, gradient and clipping is that of the adapter alone."""

import dataclasses

import numpy as np
import pytest
import torch
from adapting import adapt_settings, changed

from fairgen.core.errors import FairgenError
from fairgen.embedded import birds
from fairgen.generate import training, training_shared
from fairgen.generate.recipe import Adapt
from fairgen.models import base_model, diffusion, lora, stacked_lora, text_encoders
from fairgen.models.conditioning import joined

TEXT = "a landbird on land V"


@pytest.fixture(scope="module")
def clusters() -> dict[str, np.ndarray]:
    drawn = np.stack([birds.users(5, "train", "landbird", "land", i).pixels for i in range(9)])
    return {"g/0": drawn[:3], "g/1": drawn[3:5], "g/2": drawn[5:]}


@pytest.fixture
def settings(base: base_model.Base) -> Adapt:
    """Everything that can differ between adapters is on: schedule, running mean, accumulation, prior, offset
    noise.
    """
    recipe = {
        "schedule": "cosine",
        "warmup": 1,
        "ema": 0.9,
        "accumulate": 2,
        "prior_weight": 0.7,
        "prior_batch": 4,
        "lr": 1e-2,
    }
    return changed(dataclasses.replace(adapt_settings("lora", base), offset_noise=0.1), **recipe)


@pytest.fixture(scope="module")
def priors(clusters: dict[str, np.ndarray]) -> list[tuple[str, np.ndarray]]:
    return [("a landbird on land", clusters["g/2"]), ("a landbird on water", clusters["g/0"])]


@pytest.mark.parametrize("companion", [False, True])
def test_adapters_of_a_shared_batch_are_those_of_separate_training(
    base: base_model.Base,
    settings: Adapt,
    clusters: dict[str, np.ndarray],
    priors: list,
    companion: bool,
) -> None:
    whole = np.tile([32, 32, 0, 0], (len(clusters["g/1"]), 1))
    others = [("a V waterbird on water", clusters["g/1"][:, ::-1], whole)] if companion else []
    found = training_shared.train(settings, base, TEXT, clusters, priors, "g", companions=others)
    for (name, pixels), (state, losses) in zip(clusters.items(), found, strict=True):
        unet, alone = training.train(settings, base, (TEXT, pixels), priors, name, companions=others)
        wanted = lora.lora_state(unet)
        assert state.keys() == wanted.keys()
        assert losses["loss"] == pytest.approx(alone["loss"], rel=1e-4)
        for key, tensor in wanted.items():
            assert torch.allclose(state[key], tensor, atol=2e-4), key
    moved = [tensor.abs().max().item() for key, tensor in found[0][0].items() if "lora_B" in key]
    assert min(moved) > 2e-3


def test_gradients_are_those_of_each_adapter_alone(base: base_model.Base, settings: Adapt) -> None:
    """Two adapters with other matrices and other rows: the gradient of the sum is each one's own, to float32
    rounding.
    """
    seeds, generator = [1, 2], torch.Generator().manual_seed(0)
    text = text_encoders.encode_prompts(base, ["a duck"]).expand(2)
    x, steps = torch.randn(4, 4, 8, 8, generator=generator), torch.tensor([10, 500, 20, 900])
    shared = diffusion.load_denoiser(base)
    x = x[:, :1].expand(-1, shared.config.in_channels, -1, -1)
    layers = training_shared.begin(shared, settings, seeds)
    with torch.no_grad():
        for layer in layers.values():
            layer.up.copy_(torch.randn(layer.up.shape, generator=generator) * 0.1)
    diffusion.predict(shared, x, steps, joined([text, text])).square().sum().backward()
    for i, state in enumerate(stacked_lora.states(layers)):
        alone, rows = diffusion.load_denoiser(base), slice(2 * i, 2 * i + 2)
        training.trainable(alone, settings)
        own = lora.lora_state(alone)
        with torch.no_grad():
            for key, weight in own.items():
                weight.copy_(state[key])
        diffusion.predict(alone, x[rows], steps[rows], text).square().sum().backward()
        for name, layer in layers.items():
            for key, stack in (("lora_A", layer.down), ("lora_B", layer.up)):
                wanted = alone.get_submodule(name).get_submodule(key)["default"].weight.grad
                assert (stack.grad[i] - wanted).norm() < 1e-5 * wanted.norm() + 1e-9, (name, key)


def test_each_adapter_starts_where_it_would_alone(base: base_model.Base, settings: Adapt) -> None:
    begun = stacked_lora.states(training_shared.begin(diffusion.load_denoiser(base), settings, [3, 4]))
    for seed, state in zip((3, 4), begun, strict=True):
        unet = diffusion.load_denoiser(base)
        torch.manual_seed(seed)
        training.trainable(unet, settings)
        assert all(torch.equal(state[key], tensor) for key, tensor in lora.lora_state(unet).items())


def test_gradients_are_clipped_adapter_by_adapter() -> None:
    """Norms 5 and 0.5 over two stacks: the first becomes 1, the second stays."""
    weights = [torch.nn.Parameter(torch.zeros(2, 1, 2)) for _ in range(2)]
    weights[0].grad = torch.tensor([[[3.0, 0.0]], [[0.3, 0.0]]])
    weights[1].grad = torch.tensor([[[0.0, 4.0]], [[0.4, 0.0]]])
    stacked_lora.clip_gradients(weights)
    norms = [torch.cat([w.grad[i].flatten() for w in weights]).norm().item() for i in range(2)]
    assert norms == pytest.approx([1, 0.5], rel=1e-5)


def test_layers_other_than_linear_ones_are_refused_by_name(base: base_model.Base, settings: Adapt) -> None:
    with pytest.raises(FairgenError, match=r"adapt\.shared: conv_in is a Conv2d.* adapt\.lora\.targets"):
        training_shared.begin(
            diffusion.load_denoiser(base), changed(settings, targets=("to_q", "conv_in")), [1, 2]
        )


def test_the_base_is_as_it_was_after_layers_are_taken_out(base: base_model.Base, settings: Adapt) -> None:
    unet = diffusion.load_denoiser(base)
    names = set(unet.state_dict())
    training.trainable(unet, settings)
    assert stacked_lora.take_out(unet)
    assert set(unet.state_dict()) == names
