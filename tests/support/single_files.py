"""Miniature pipelines written as one file, with the key names of the original Stable Diffusion code."""

import json
import re
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
}
RESNET |= {"conv2": "out_layers.3", "conv_shortcut": "skip_connection"}
ENDS = {"time_embedding.linear_": "time_embed.", "add_embedding.linear_": "label_emb.0."}
OPEN_CLIP = {
    "encoder.layers": "transformer.resblocks",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn": "attn",
}
OPEN_CLIP |= {
    "fc1": "c_fc",
    "fc2": "c_proj",
    "final_layer_norm": "ln_final",
    "embeddings.token_embedding": "token_embedding",
}
OPEN_CLIP |= {
    "embeddings.position_embedding.weight": "positional_embedding",
    "text_projection.weight": "text_projection",
}


def replaced(name: str, words: dict[str, str]) -> str:
    for old, new in words.items():
        name = name.replace(old, new)
    return name


def unet_key(name: str, layers: int = 1) -> str:
    """The original name of a weight of a denoiser with one resnet per block."""
    for ours, theirs in ENDS.items():  # the layers 1 and 2 are 0 and 2 there
        if name.startswith(ours):
            return name.replace(f"{ours}1", f"{theirs}0").replace(f"{ours}2", f"{theirs}2")
    name = replaced(name, {"conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2"})
    name = replaced(name, RESNET) if ".resnets." in name else name
    if found := re.match(r"mid_block\.(resnets|attentions)\.(\d)", name):
        place = {"resnets0": 0, "attentions0": 1, "resnets1": 2}[found[1] + found[2]]
        return name.replace(found[0], f"middle_block.{place}")
    if found := re.match(r"(down|up)_blocks\.(\d)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)", name):
        side, block, what, j = found[1], int(found[2]), found[3], int(found[4])
        each = layers + 1  # a down block's resnets with its downsampler; an up block's resnets
        number = block * each + (j + 1 if side == "down" else j)
        if what == "downsamplers":
            return name.replace(f"{found[0]}.conv", f"input_blocks.{number + layers}.0.op")
        if what == "upsamplers":
            return name.replace(found[0], f"output_blocks.{block * each + layers}.{2 if block == 0 else 1}")
        stem = "input" if side == "down" else "output"
        return name.replace(found[0], f"{stem}_blocks.{number}.{int(what == 'attentions')}")
    return name


def vae_key(name: str, blocks: int = 3) -> str:
    """The original name of a weight of an autoencoder with so many blocks."""
    words = {
        "conv_norm_out": "norm_out",
        "mid_block.attentions.0": "mid.attn_1",
        "group_norm": "norm",
        "to_out.0": "proj_out",
    }
    words |= {"to_q": "q", "to_k": "k", "to_v": "v", "conv_shortcut": "nin_shortcut"}
    words |= {"mid_block.resnets.0": "mid.block_1", "mid_block.resnets.1": "mid.block_2"}
    words |= {
        "resnets": "block",
        "downsamplers.0": "downsample",
        "upsamplers.0": "upsample",
        "down_blocks": "down",
    }
    name = re.sub(r"up_blocks\.(\d)", lambda found: f"up.{blocks - 1 - int(found[1])}", name)
    return replaced(name, words)


def clip_state(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A text encoder with OpenCLIP's names: queries, keys and values in one matrix, the projection
    transposed.
    """
    state, found = {name.removeprefix("text_model."): x for name, x in state.items()}, {}
    for name, x in state.items():
        if ".q_proj." in name:
            joined = torch.cat(
                [state[name.replace("q_proj", part)] for part in ("q_proj", "k_proj", "v_proj")]
            )
            found[replaced(name, OPEN_CLIP | {"q_proj.": "in_proj_"})] = joined
        elif ".k_proj." not in name and ".v_proj." not in name:
            found[replaced(name, OPEN_CLIP)] = x.T if name == "text_projection.weight" else x
    return found


def write(folder: Path, path: Path) -> Path:
    """Write the pipeline in `folder` as one file."""

    def part(name: str) -> dict[str, torch.Tensor]:
        return load_file(next((folder / name).glob("*.safetensors")))

    about = json.loads((folder / "model_index.json").read_text())
    open_clip = json.loads((folder / "text_encoder/config.json").read_text())["hidden_act"] == "gelu"
    found = {f"model.diffusion_model.{unet_key(name)}": x for name, x in part("unet").items()}
    found |= {f"first_stage_model.{vae_key(name)}": x for name, x in part("vae").items()}
    if about["_class_name"] == "StableDiffusionXLPipeline":
        first = "conditioner.embedders.0.transformer.text_model."
        found |= {
            f"conditioner.embedders.1.model.{name}": x
            for name, x in clip_state(part("text_encoder_2")).items()
        }
    else:
        first = "cond_stage_model.transformer.text_model."
    if open_clip:
        found |= {f"cond_stage_model.model.{name}": x for name, x in clip_state(part("text_encoder")).items()}
    else:
        found |= {first + name.removeprefix("text_model."): x for name, x in part("text_encoder").items()}
    save_file({name: x.contiguous() for name, x in found.items()}, path)
    return path


def describe(folder: Path, place: Path) -> Path:
    """A copy of the pipeline's folder without its weights."""
    return shutil.copytree(folder, place, ignore=shutil.ignore_patterns("*.safetensors"))
