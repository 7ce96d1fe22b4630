"""What the weights of Stable Diffusion 1.x, 2.x and XL are called in the original code, whose names
AUTOMATIC1111, ComfyUI and sd-scripts read: CompVis' and Stability's for the UNet and the autoencoder,
OpenCLIP's for the text encoders that came from there.

The other way, from these names to diffusers', is diffusers' own (`loaders/single_file_utils.py`), by which
every file is checked (`fairgen.commands.exports.checkpoint`).
"""

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

UNET_ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
UNET_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
MIDDLE = {"resnets.0": "middle_block.0", "attentions.0": "middle_block.1", "resnets.1": "middle_block.2"}
VAE_PARTS = {
    "conv_norm_out": "norm_out",
    "mid_block.attentions.0": "mid.attn_1",
    "mid_block.resnets.0": "mid.block_1",
    "mid_block.resnets.1": "mid.block_2",
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
    "conv_shortcut": "nin_shortcut",
    "resnets": "block",
    "downsamplers.0": "downsample",
    "upsamplers.0": "upsample",
}
OPEN_CLIP = {
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm": "ln_final",
    "text_model.encoder.layers": "transformer.resblocks",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn": "attn",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "text_projection.weight": "text_projection",
}
LOGIT_SCALE = 4.6052  # ln 100, at which CLIP's training is capped: a file has one, and no generator reads it


def replaced(name: str, words: dict[str, str]) -> str:
    """A name with each of some words, which stand between dots, in another's place."""
    for word, other in words.items():
        name = re.sub(rf"(?<![\w]){re.escape(word)}(?![\w])", other, name)
    return name


def unet_blocks(config: dict[str, Any]) -> dict[str, str]:
    """The blocks of a UNet by their names: for `down_blocks.0.resnets.1`, `input_blocks.2.0`.

    Original blocks are numbered through: each has a resnet, and may have an attention and a sampler behind
    it.
    """
    found = {f"mid_block.{ours}": theirs for ours, theirs in MIDDLE.items()}
    kinds, count = config["down_block_types"], 0
    for block, (kind, layers) in enumerate(zip(kinds, per_block(config, kinds), strict=True)):
        for layer in range(layers):
            count += 1
            found[f"down_blocks.{block}.resnets.{layer}"] = f"input_blocks.{count}.0"
            if "Attn" in kind:
                found[f"down_blocks.{block}.attentions.{layer}"] = f"input_blocks.{count}.1"
        if block < len(kinds) - 1:
            count += 1
            found[f"down_blocks.{block}.downsamplers.0.conv"] = f"input_blocks.{count}.0.op"
    kinds, count = config["up_block_types"], -1
    for block, (kind, layers) in enumerate(zip(kinds, per_block(config, kinds)[::-1], strict=True)):
        for layer in range(layers + 1):
            count += 1
            found[f"up_blocks.{block}.resnets.{layer}"] = f"output_blocks.{count}.0"
            if "Attn" in kind:
                found[f"up_blocks.{block}.attentions.{layer}"] = f"output_blocks.{count}.1"
        if block < len(kinds) - 1:
            found[f"up_blocks.{block}.upsamplers.0"] = f"output_blocks.{count}.{2 if 'Attn' in kind else 1}"
    return found


def per_block(config: dict[str, Any], kinds: list[str]) -> list[int]:
    """Resnets of each block on the way down."""
    layers = config["layers_per_block"]
    return list(layers) if isinstance(layers, list | tuple) else [layers] * len(kinds)


def unet(name: str, blocks: dict[str, str]) -> str | None:
    """The original name of a UNet's weight or module; None for one that the original code does not have.

    Args:
        name: diffusers' name.
        blocks: of `unet_blocks`.
    """
    for ours, theirs in UNET_ENDS.items():
        if name == ours or name.startswith(f"{ours}."):
            return theirs + name.removeprefix(ours)
    found = re.match(
        r"(?:mid_block|(?:down|up)_blocks\.\d+)\.(?:(?:resnets|attentions|upsamplers)\.\d+|[\w.]+\.conv)",
        name,
    )
    if not found or found[0] not in blocks:
        return None
    rest = name.removeprefix(found[0])
    return blocks[found[0]] + (replaced(rest, UNET_RESNET) if ".resnets." in name else rest)


def vae(name: str, blocks: int) -> str:
    """The original name of a weight of an autoencoder with so many blocks; its decoder's count from the
    image.
    """
    name = re.sub(r"up_blocks\.(\d+)", lambda found: f"up.{blocks - 1 - int(found[1])}", name)
    return replaced(name.replace("down_blocks", "down"), VAE_PARTS)


def vae_state(state: "dict[str, torch.Tensor]", blocks: int) -> "dict[str, torch.Tensor]":
    """An autoencoder's weights by their original names; its attention's are convolutions of one pixel
    there.
    """
    return {
        vae(name, blocks): x[:, :, None, None] if ".attentions." in name and x.ndim == 2 else x
        for name, x in state.items()
    }


def open_clip_state(state: "dict[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """A CLIP text encoder's weights by OpenCLIP's names: queries, keys and values in one matrix, the
    projection transposed.
    """
    import torch

    found = {"logit_scale": torch.tensor(LOGIT_SCALE)}
    for name, x in state.items():
        if ".q_proj." in name:
            joined = torch.cat(
                [state[name.replace("q_proj", part)] for part in ("q_proj", "k_proj", "v_proj")]
            )
            found[replaced(name.replace("q_proj.", "in_proj_"), OPEN_CLIP)] = joined
        elif ".k_proj." not in name and ".v_proj." not in name:
            found[replaced(name, OPEN_CLIP)] = x.T if name == "text_projection.weight" else x
    return found


def with_last_layer(state: "dict[str, torch.Tensor]", layers: int) -> "dict[str, torch.Tensor]":
    """OpenCLIP's weights of Stable Diffusion 2 with the last layer and the projection, which diffusers
    leaves out: it reads the states before the last layer. Programs that build the whole network want weights
    there, and use none.

    The layer before stands in its place, as in the files of sd-scripts.
    """
    import torch

    last = f"transformer.resblocks.{layers - 1}."
    copied = {
        name.replace(last, f"transformer.resblocks.{layers}."): x
        for name, x in state.items()
        if name.startswith(last)
    }
    width = len(state["ln_final.weight"])
    return {**state, **copied, "text_projection": torch.eye(width, dtype=state["ln_final.weight"].dtype)}
