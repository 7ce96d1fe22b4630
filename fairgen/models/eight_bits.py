"""Frozen linear layers whose weights are held in eight bits, half of bfloat16's memory.

Each row of a weight is scaled so that its largest entry is 127 and rounded (LLM.int8's vector-wise absmax,
arXiv 2208.07339, section 2.1); the products are computed in the layer's own dtype. The backward pass computes
a weight anew, for kept by the graph it would take what was saved.
"""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

SMALL = 1 << 16  # weights of a layer below which it stays as it is
LARGEST = 127
SMALLEST = 2.0**-24  # step of a row of zeros; a float16 holds it


class Product(torch.autograd.Function):
    """x·Wᵀ for rows of W in eight bits; gradients are of x alone."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, codes: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """Rows (…, in) to (…, out)."""
        ctx.save_for_backward(codes, scale)
        ctx.dtype = x.dtype
        return F.linear(x, (codes * scale).to(x.dtype))

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        """Gradient of x."""
        codes, scale = ctx.saved_tensors
        (gradient,) = gradients
        return (gradient @ (codes * scale).to(gradient.dtype)).to(ctx.dtype), None, None


class EightBitLinear(nn.Linear):
    """A frozen linear layer in eight bits, with a `weight` for whatever looks at one."""

    def __init__(self, layer: nn.Linear):
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        weight = layer.weight.detach().float()
        scale = (weight.abs().amax(1, keepdim=True) / LARGEST).clamp(min=SMALLEST).to(layer.weight.dtype)
        codes = (weight / scale.float()).round().clamp(-LARGEST, LARGEST)
        self.register_buffer("codes", codes.to(torch.int8))
        self.register_buffer("scale", scale)
        self.register_parameter("bias", layer.bias)

    @property
    def weight(self) -> torch.Tensor:
        """The rounded weights (out, in), in the layer's dtype."""
        return self.codes * self.scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Rows (…, in) to (…, out)."""
        found = Product.apply(x, self.codes, self.scale)
        return found if self.bias is None else found + self.bias


def dtype_of(network: Any) -> torch.dtype:
    """The dtype in which a denoiser computes. Where its layers are in eight bits, their scales have it, for
    its first weight may be one of LoRA's, which are float32.
    """
    reduced = next((layer for layer in network.modules() if isinstance(layer, EightBitLinear)), None)
    return reduced.scale.dtype if reduced else network.dtype


@torch.no_grad()
def reduce(network: nn.Module) -> nn.Module:
    """Put eight-bit layers in the place of a frozen network's larger linear ones, but for those that share
    their weights with an embedding.
    """
    tied = {id(layer.weight) for layer in network.modules() if isinstance(layer, nn.Embedding)}
    for name, layer in list(network.named_modules()):
        if type(layer) is nn.Linear and layer.weight.numel() >= SMALL and id(layer.weight) not in tied:
            parent, _, child = name.rpartition(".")
            setattr(network.get_submodule(parent), child, EightBitLinear(layer))
    return network
