"""How much of a GPU's memory each base takes: an estimate that needs neither a GPU nor the bases' weights.

    python benchmarks/card_memory.py                           # every base; minutes on one core
    python benchmarks/card_memory.py --bases sd15 klein

Networks of the published sizes are built on torch's meta device, where tensors have a size and no content,
and fairgen's own call of the denoiser runs on them. Every tensor that would be allocated is counted from its
first use until it is freed, so A, what a forward pass holds at most, has in it what is kept for the backward
pass (of attention: queries, keys, values and the result, as flash attention keeps them). Then

    training = frozen weights + 12 · T + max(A, 4 · T) + C        drawing = weights + A

in bytes, with T the number of trained weights: 4 bytes each for the weight in float32 and 8 for AdamW's two
moments; its gradient, 4 more, comes while activations go. C is 2 · T for a full finetune, whose weights are
also there in bfloat16. With gradient checkpointing A is that of a forward and a backward pass. What a GPU
takes beside that is not counted: the driver's context (about 0.5 GiB), workspaces of kernels, what the
allocator wastes.

Figures are in GiB. `text`: the text encoders with two prompts. `lora`: a step of rank 16 on four images;
`full`: one on two images and two class images; `checkpointed`: with `gradient_checkpointing: true`. `draw`:
one guided call of the denoiser for 8 images, or the decoding of as many as are decoded at once. `low` is
`diffusion.memory: low`, of one image and checkpointed.
"""

import argparse
import json
import logging
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fairgen.models import architectures, autoencoder, diffusion, eight_bits, lora
from fairgen.models.conditioning import Conditioning

GIB, RANK = 2**30, 16
CLIP_L = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
CLIP_H = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 23, "num_attention_heads": 16}
CLIP_G = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20}
T5 = {"d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64}
QWEN = {"hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32}
QWEN |= {"num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936, "tie_word_embeddings": True}
XL_BLOCKS = {
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}


@dataclass(frozen=True)
class Size:
    """The published sizes of a base, and the pictures that it is for."""

    kind: str  # class of the denoiser in diffusers
    denoiser: dict[str, Any]
    text: list[tuple[str, dict[str, Any]]]  # class in transformers and config of each text encoder
    states: tuple[int, int]  # tokens and width of what the denoiser reads
    pooled: int = 0
    latents: int = 4  # channels of the autoencoder
    resolution: int = 1024


SIZES = {
    "sd15": Size(
        "UNet2DConditionModel",
        {"cross_attention_dim": 768},
        [("CLIPTextModel", CLIP_L)],
        (77, 768),
        resolution=512,
    ),
    "sd21": Size(
        "UNet2DConditionModel",
        {
            "cross_attention_dim": 1024,
            "attention_head_dim": (5, 10, 20, 20),
            "use_linear_projection": True,
        },
        [("CLIPTextModel", CLIP_H)],
        (77, 1024),
        resolution=768,
    ),
    "xl": Size(
        "UNet2DConditionModel",
        {"cross_attention_dim": 2048, "use_linear_projection": True, **XL_BLOCKS},
        [("CLIPTextModel", CLIP_L), ("CLIPTextModelWithProjection", CLIP_G | {"projection_dim": 1280})],
        (77, 2048),
        pooled=1280,
    ),
    "sd35": Size(
        "SD3Transformer2DModel",
        {
            "sample_size": 128,
            "in_channels": 16,
            "out_channels": 16,
            "num_layers": 24,
            "num_attention_heads": 24,
            "joint_attention_dim": 4096,
            "caption_projection_dim": 1536,
            "pooled_projection_dim": 2048,
            "pos_embed_max_size": 384,
            "dual_attention_layers": tuple(range(13)),
            "qk_norm": "rms_norm",
        },
        [
            ("CLIPTextModelWithProjection", CLIP_L | {"projection_dim": 768}),
            ("CLIPTextModelWithProjection", CLIP_G | {"projection_dim": 1280}),
            ("T5EncoderModel", T5 | {"feed_forward_proj": "gated-gelu"}),
        ],
        (333, 4096),
        pooled=2048,
        latents=16,
    ),
    "klein": Size(
        "Flux2Transformer2DModel",
        {
            "num_layers": 5,
            "num_single_layers": 20,
            "num_attention_heads": 24,
            "joint_attention_dim": 7680,
            "guidance_embeds": False,
        },
        [("Qwen3Model", QWEN)],
        (512, 7680),
        latents=32,
    ),
    "z-image": Size("ZImageTransformer2DModel", {}, [("Qwen3Model", QWEN)], (64, 2560), latents=16),
}


class Attention(torch.autograd.Function):
    """The size of what attention gives, and what flash attention keeps for the backward pass."""

    @staticmethod
    def forward(ctx: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """(…, tokens, width) of the queries."""
        found = torch.empty_like(q)
        ctx.save_for_backward(q, k, v, found)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        """Their sizes."""
        return tuple(map(torch.empty_like, ctx.saved_tensors[:3]))


class Alive(TorchDispatchMode):
    """Bytes of all storages that are alive, now and at most."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: dict[int, int] = {}

    def see(self, tensors: Any) -> None:
        """Count storages that are new, until they are freed."""
        for tensor in tree_leaves(tensors):
            if isinstance(tensor, torch.Tensor) and id(storage := tensor.untyped_storage()) not in self.known:
                self.known[id(storage)] = storage.nbytes()
                self.now += storage.nbytes()
                weakref.finalize(storage, self.freed, id(storage))
        self.peak = max(self.peak, self.now)

    def freed(self, key: int) -> None:
        """A storage is gone."""
        self.now -= self.known.pop(key)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count what it has allocated."""
        found = func(*args, **(kwargs or {}))
        self.see(found)
        return found


@contextmanager
def counted(*networks: torch.nn.Module) -> Iterator[Alive]:
    """Count what is allocated inside, beside the weights of some networks."""
    whole, alive = F.scaled_dot_product_attention, Alive()
    F.scaled_dot_product_attention = lambda query, key, value, *_, **__: Attention.apply(query, key, value)
    for network in networks:
        alive.known |= {id(x.untyped_storage()): 0 for x in weights_of(network)}
    try:
        with torch.device("meta"), alive:
            yield alive
    finally:
        F.scaled_dot_product_attention = whole


def weights_of(network: torch.nn.Module) -> list[torch.Tensor]:
    """Weights and buffers, shared ones once."""
    return list({id(x): x for x in (*network.parameters(), *network.buffers())}.values())


def held(*networks: torch.nn.Module) -> int:
    """Their bytes."""
    return sum(x.numel() * x.element_size() for network in networks for x in weights_of(network))


def built(kind: Any, options: dict[str, Any], low: bool = False) -> Any:
    """A frozen network without content, in bfloat16 or eight bits."""
    with torch.device("meta"):
        network = kind(**options) if hasattr(kind, "load_config") else kind(kind.config_class(**options))
    network = network.to(torch.bfloat16).requires_grad_(False).eval()
    return eight_bits.reduce(network) if low else network


def denoiser(size: Size, low: bool = False) -> Any:
    """The denoiser without content."""
    import diffusers

    return built(getattr(diffusers, size.kind), size.denoiser, low)


def encoders(size: Size, low: bool = False) -> list[Any]:
    """The text encoders without content."""
    import transformers

    return [built(getattr(transformers, kind), options, low) for kind, options in size.text]


def vae(size: Size) -> Any:
    """The autoencoder without content; FLUX.2's is as wide as the others."""
    from diffusers import AutoencoderKL

    blocks = {f"{way.lower()}_block_types": (f"{way}{kind}Block2D",) * 4 for way, kind in WAYS.items()}
    options = {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, **blocks}
    return built(AutoencoderKL, options | {"latent_channels": size.latents})


def text_of(size: Size, rows: int) -> Conditioning:
    """What the denoiser reads for some rows."""
    pooled = torch.empty(rows, size.pooled, dtype=torch.bfloat16, device="meta") if size.pooled else None
    sizes = torch.empty(rows, 6, device="meta") if "addition_embed_type" in size.denoiser else None
    lengths = torch.full((rows,), size.states[0], device="cpu") if size.kind.startswith("ZImage") else None
    states = torch.empty(rows, *size.states, dtype=torch.bfloat16, device="meta")
    return Conditioning(states, pooled, sizes, lengths)


def activations(size: Size, network: Any, rows: int) -> int:
    """What a call of the denoiser holds at most, latents and text included, and what its backward pass needs
    if something is trained.
    """
    trained = any(p.requires_grad for p in network.parameters())
    channels = network.config.in_channels
    side = size.resolution // (16 if channels == 4 * size.latents else 8)
    text, latents = text_of(size, rows), torch.empty(rows, channels, side, side, device="meta")
    with counted(network) as alive, torch.set_grad_enabled(trained):
        alive.see([text.states, latents])
        found = diffusion.predict(network, latents, torch.empty((), device="meta"), text)
        if trained and network.is_gradient_checkpointing:
            found.sum().backward()
    return alive.peak


def adapt(size: Size, kind: str, rows: int, low: bool = False, checkpointed: bool = False) -> float:
    """GiB of a step of training."""
    network = denoiser(size, low and kind == "lora").train()
    if kind == "lora":
        lora.inject_lora(
            network, RANK, RANK, targets=architectures.of_denoiser(network).lora_targets(network.config)
        )
    else:
        network.requires_grad_(True)
    if checkpointed:
        network.enable_gradient_checkpointing()
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    frozen = held(network) - 2 * trained  # on the meta device what is trained is in bfloat16 too
    peak = max(activations(size, network, rows), 4 * trained)
    return (frozen + 12 * trained + peak + (2 * trained if kind == "full" else 0)) / GIB


def draw(size: Size, rows: int, low: bool = False) -> float:
    """GiB of a guided call of the denoiser for some pictures, or of their decoding after it."""
    network, decoder = denoiser(size, low), vae(size)
    once, side = 1 if low else min(rows, autoencoder.at_once(size.resolution)), size.resolution // 8
    with counted(decoder) as alive, torch.no_grad():
        decoder.decode(torch.empty(once, size.latents, side, side, dtype=torch.bfloat16))
    return (held(network, decoder) + max(activations(size, network, 2 * rows), alive.peak)) / GIB


def read(size: Size, low: bool = False) -> float:
    """GiB of the text encoders with two prompts."""
    networks, longest = encoders(size, low), 0
    for network in networks:
        words = 512 if "Qwen" in type(network).__name__ else 256 if "T5" in type(network).__name__ else 77
        with counted(network) as alive, torch.no_grad():
            network(torch.zeros(2, words, dtype=torch.long), output_hidden_states=True)
        longest = max(longest, alive.peak)
    return (held(*networks) + longest) / GIB


WAYS = {"Down": "Encoder", "Up": "Decoder"}
ROWS: dict[str, Callable[[Size], float]] = {
    "text": read,
    "text low": lambda size: read(size, low=True),
    "lora": lambda size: adapt(size, "lora", 4),
    "lora checkpointed": lambda size: adapt(size, "lora", 4, checkpointed=True),
    "lora low": lambda size: adapt(size, "lora", 1, low=True, checkpointed=True),
    "full checkpointed": lambda size: adapt(size, "full", 4, checkpointed=True),
    "draw": lambda size: draw(size, 8),
    "draw low": lambda size: draw(size, 1, low=True),
}


def main() -> None:
    """Print the table, in Markdown."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--bases", nargs="+", choices=SIZES, default=list(SIZES))
    options.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    options.add_argument("--json", type=Path, help="write the figures")
    given, found = options.parse_args(), {}
    logging.disable(logging.WARNING)  # diffusers has something to say of networks that are cast
    print(f"| base | pixels | {' | '.join(given.rows)} |\n|---|---:|{'---:|' * len(given.rows)}")
    for name in given.bases:
        found[name] = {}
        for row in given.rows:
            found[name][row] = ROWS[row](SIZES[name])
        cells = " | ".join(f"{value:.1f}" for value in found[name].values())
        print(f"| {name} | {SIZES[name].resolution} | {cells} |", flush=True)
    if given.json:
        given.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
