"""The LoRA matrices of several adapters on one frozen denoiser, which all run in one batch (arXiv
2106.09685).

A batch holds the rows of the first adapter, then as many of the second, and so on. Each projection multiplies
all rows by the frozen weights at once, and each adapter's rows by its own matrices in one batched product.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from fairgen.core.errors import FairgenError
from fairgen.models import lora

Layers = dict[str, Any]  # name of a module in the denoiser → peft's LoRA layer in its place


class StackedLora(nn.Module):
    """A frozen linear layer with the LoRA of several adapters, each for its own rows: W·x + scale ·
    up·down·x.
    """

    def __init__(self, layers: Sequence[Any]):
        super().__init__()
        self.base_layer, self.scale = layers[0].base_layer, layers[0].scaling["default"]
        # (adapters, rank, in)
        self.down = nn.Parameter(torch.stack([x.lora_A["default"].weight.detach() for x in layers]))
        # (adapters, out, rank)
        self.up = nn.Parameter(torch.stack([x.lora_B["default"].weight.detach() for x in layers]))
        self.used = slice(None)  # the adapters that run

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Rows (n, tokens, in), n a multiple of the number of adapters that run, to (n, tokens, out)."""
        result, down, up = self.base_layer(x), self.down[self.used], self.up[self.used]
        own = x.reshape(len(down), -1, x.shape[-1])
        with torch.autocast(x.device.type, x.dtype, enabled=x.dtype != torch.float32):
            added = torch.bmm(torch.bmm(own, down.mT), up.mT) * self.scale
        return result + added.view(result.shape)


def take_out(unet: nn.Module) -> Layers:
    """Put the base's own layers back in the place of peft's LoRA layers, which are returned."""
    layers = lora.lora_layers(unet)
    for name, layer in layers.items():
        _place(unet, name, layer.base_layer)
    del unet.peft_config
    return layers


def put_back(unet: nn.Module, layers: Layers) -> None:
    """Put peft's LoRA layers back that `take_out` has returned."""
    for name, layer in layers.items():
        _place(unet, name, layer)


def put_in(unet: nn.Module, trained: Sequence[Layers]) -> dict[str, StackedLora]:
    """Put the layers of several adapters, stacked, in the place of the base's own.

    Raises:
        FairgenError: a layer is not linear.
    """
    for name, layer in trained[0].items():
        if not isinstance(layer.base_layer, nn.Linear):
            raise FairgenError(
                f"adapt.shared: {name} is a {type(layer.base_layer).__name__}, and a shared batch adapts"
                " linear layers only; take it out of adapt.lora.targets or set shared: false"
            )
    stacked = {name: StackedLora([layers[name] for layers in trained]) for name in trained[0]}
    for name, layer in stacked.items():
        _place(unet, name, layer)
    return stacked


@contextmanager
def alone(layers: dict[str, StackedLora], number: int) -> Iterator[None]:
    """Let one of the adapters run for all rows."""
    for layer in layers.values():
        layer.used = slice(number, number + 1)
    try:
        yield
    finally:
        for layer in layers.values():
            layer.used = slice(None)


def _place(unet: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(unet.get_submodule(parent), child, module)


def states(layers: dict[str, StackedLora], part: str = "unet") -> list[dict[str, torch.Tensor]]:
    """The tensors of each adapter, with the names that `lora.lora_state` gives to those of one; `part` is
    what the pipeline calls the denoiser.
    """
    found: list[dict[str, torch.Tensor]] = [{} for _ in next(iter(layers.values())).down]
    for name, layer in layers.items():
        for state, down, up in zip(found, layer.down, layer.up, strict=True):
            state |= {f"{part}.{name}.lora_A.weight": down, f"{part}.{name}.lora_B.weight": up}
    return found


@torch.no_grad()
def clip_gradients(weights: Sequence[nn.Parameter]) -> torch.Tensor:
    """Scale the gradients of each adapter down to norm 1; `weights` are stacks of the adapters' matrices.

    The same arithmetic as `torch.nn.utils.clip_grad_norm_` for one adapter.

    Returns:
        The norms before (adapters,).
    """
    gradients = [w.grad for w in weights if w.grad is not None]
    norms = torch.cat([g.flatten(1) for g in gradients], dim=1).norm(dim=1)
    factors = (1 / (norms + 1e-6)).clamp(max=1)
    for gradient in gradients:
        gradient.mul_(factors[:, None, None])
    return norms
