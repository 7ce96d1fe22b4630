"""LoRA tensors by the names of other programs: `lora_unet_<layer>.lora_down.weight`, `.lora_up.weight`,
`.alpha`.

These are the names of kohya's trainers, sd-scripts and musubi-tuner, which AUTOMATIC1111 and ComfyUI read
too. `<layer>` has the name that the program's own network gives it: diffusers' for the UNets of 1.x and 2.x
and for Z-Image (in musubi-tuner), else the original code's. Where that has queries, keys and values in one
layer, ours are joined: the downs above each other, the ups along a diagonal, which leaves the sum as it is.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fairgen.models import original_names

if TYPE_CHECKING:
    import torch

WHICH = "(?P<which>[qkv])"
# original layers by patterns of diffusers' names
STABLE_DIFFUSION_3 = {
    rf"transformer_blocks\.(\d+)\.attn\.to_{WHICH}": r"joint_blocks.\1.x_block.attn.qkv",
    rf"transformer_blocks\.(\d+)\.attn2\.to_{WHICH}": r"joint_blocks.\1.x_block.attn2.qkv",
    rf"transformer_blocks\.(\d+)\.attn\.add_{WHICH}_proj": r"joint_blocks.\1.context_block.attn.qkv",
    r"transformer_blocks\.(\d+)\.(attn2?)\.to_out\.0": r"joint_blocks.\1.x_block.\2.proj",
    r"transformer_blocks\.(\d+)\.attn\.to_add_out": r"joint_blocks.\1.context_block.attn.proj",
    r"transformer_blocks\.(\d+)\.ff\.net\.0\.proj": r"joint_blocks.\1.x_block.mlp.fc1",
    r"transformer_blocks\.(\d+)\.ff\.net\.2": r"joint_blocks.\1.x_block.mlp.fc2",
    r"transformer_blocks\.(\d+)\.ff_context\.net\.0\.proj": r"joint_blocks.\1.context_block.mlp.fc1",
    r"transformer_blocks\.(\d+)\.ff_context\.net\.2": r"joint_blocks.\1.context_block.mlp.fc2",
}
FLUX_2 = {
    rf"transformer_blocks\.(\d+)\.attn\.to_{WHICH}": r"double_blocks.\1.img_attn.qkv",
    rf"transformer_blocks\.(\d+)\.attn\.add_{WHICH}_proj": r"double_blocks.\1.txt_attn.qkv",
    r"transformer_blocks\.(\d+)\.attn\.to_out\.0": r"double_blocks.\1.img_attn.proj",
    r"transformer_blocks\.(\d+)\.attn\.to_add_out": r"double_blocks.\1.txt_attn.proj",
    r"transformer_blocks\.(\d+)\.ff\.linear_in": r"double_blocks.\1.img_mlp.0",
    r"transformer_blocks\.(\d+)\.ff\.linear_out": r"double_blocks.\1.img_mlp.2",
    r"transformer_blocks\.(\d+)\.ff_context\.linear_in": r"double_blocks.\1.txt_mlp.0",
    r"transformer_blocks\.(\d+)\.ff_context\.linear_out": r"double_blocks.\1.txt_mlp.2",
    r"single_transformer_blocks\.(\d+)\.attn\.to_qkv_mlp_proj": r"single_blocks.\1.linear1",
    r"single_transformer_blocks\.(\d+)\.attn\.to_out": r"single_blocks.\1.linear2",
}
Z_IMAGE = {
    rf"((?:layers|noise_refiner|context_refiner)\.\d+)\.attention\.to_{WHICH}": r"\1.attention.qkv",
    r"((?:layers|noise_refiner|context_refiner)\.\d+)\.attention\.to_out\.0": r"\1.attention.out",
    r"((?:layers|noise_refiner|context_refiner)\.\d+\.feed_forward\.w[123])": r"\1",
}
ORIGINAL = {
    "StableDiffusion3Pipeline": STABLE_DIFFUSION_3,
    "Flux2KleinPipeline": FLUX_2,
    "ZImagePipeline": Z_IMAGE,
}
TEXT = {"text_encoder": "lora_te_"}
TEXT_OF_XL = {"text_encoder": "lora_te1_", "text_encoder_2": "lora_te2_"}


@dataclass(frozen=True)
class Place:
    """A layer in a layout, and which of the parts that it joins a layer of ours is."""

    name: str
    part: int = 0
    parts: int = 1


Places = Callable[
    [str], Place | None
]  # from a layer's name with its part of the pipeline; None where it has no place


def places(kind: str, config: dict[str, Any], kohya: bool) -> Places:
    """Where the layers of a pipeline lie.

    Args:
        kind: class of the pipeline.
        config: of its denoiser.
        kohya: as kohya's own trainers name them, else as ComfyUI's networks are called: they differ for
            Z-Image.
    """
    xl = kind == "StableDiffusionXLPipeline"
    blocks = original_names.unet_blocks(config) if xl else {}
    plain = kind == "StableDiffusionPipeline" or (kind == "ZImagePipeline" and kohya)
    text = TEXT_OF_XL if xl else TEXT

    def place(name: str) -> Place | None:
        part, _, layer = name.partition(".")
        if part in text:
            return Place(text[part] + flat(layer))
        if xl:
            own = original_names.unet(layer, blocks)
            return Place(f"lora_unet_{flat(own)}") if own else None
        return Place(f"lora_unet_{flat(layer)}") if plain else joined(layer, ORIGINAL[kind])

    return place


def flat(name: str) -> str:
    """A name without dots."""
    return name.replace(".", "_")


def joined(layer: str, table: dict[str, str]) -> Place | None:
    """The place of a transformer's layer by one of the tables."""
    for pattern, own in table.items():
        if found := re.fullmatch(pattern, layer):
            name = f"lora_unet_{flat(found.expand(own))}"
            which = found.groupdict().get("which")
            return Place(name, "qkv".index(which), 3) if which else Place(name)
    return None


def layers(state: "dict[str, torch.Tensor]") -> "dict[str, tuple[torch.Tensor, torch.Tensor]]":
    """Down and up matrix of each layer, by its name."""
    names = [name.removesuffix(".lora_A.weight") for name in state if name.endswith(".lora_A.weight")]
    return {name: (state[f"{name}.lora_A.weight"], state[f"{name}.lora_B.weight"]) for name in names}


def matrices(
    found: "dict[Place, tuple[torch.Tensor, torch.Tensor]]", alpha: float
) -> "dict[str, torch.Tensor]":
    """LoRA's matrices under their names in a layout, with the α that leaves the scale α / rank as it is."""
    import torch

    made: dict[str, torch.Tensor] = {}
    for name, own in by_name(found).items():
        downs, ups = [down for down, _ in own.values()], [up for _, up in own.values()]
        if next(iter(own)).parts == 1:
            down, up = downs[0], ups[0]
        else:
            rows, rank = ups[0].shape
            down, up = torch.cat(downs), ups[0].new_zeros(next(iter(own)).parts * rows, rank * len(ups))
            for i, (place, (_, x)) in enumerate(own.items()):
                up[place.part * rows : (place.part + 1) * rows, i * rank : (i + 1) * rank] = x
        made |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
        made[f"{name}.alpha"] = torch.tensor(float(alpha) * len(own))
    return made


def differences(found: "dict[Place, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """What is added to whole weights, under their names in a layout."""
    import torch

    made = {}
    for name, own in by_name(found).items():
        parts = {place.part: x for place, x in own.items()}
        none = torch.zeros_like(next(iter(parts.values())))
        made[f"{name}.diff"] = torch.cat([parts.get(i, none) for i in range(next(iter(own)).parts)])
    return made


def by_name(found: dict[Place, Any]) -> dict[str, dict[Place, Any]]:
    """The places of each layer of a layout, in order."""
    sorted_places = sorted(found, key=lambda place: (place.name, place.part))
    names = dict.fromkeys(place.name for place in sorted_places)
    return {name: {place: found[place] for place in sorted_places if place.name == name} for name in names}
