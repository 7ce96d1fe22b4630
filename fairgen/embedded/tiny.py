"""Architectures of the embedded model: a text-to-image latent diffusion model and a CLIP, both a few million
weights.

The folder has the ordinary layout of `diffusers.StableDiffusionPipeline`, with the scoring CLIP beside it in
transformers' layout, so the same loaders read it and Stable Diffusion.
"""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from fairgen.embedded.birds import KINDS, PLACES
from fairgen.embedded.scenes import SCENES
from fairgen.embedded.species import SPECIES
from fairgen.embedded.world import NEUTRAL, STYLES

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
    from transformers import CLIPConfig

FOLDER = Path(__file__).parent / "weights"
DIFFUSION, CLIP, BACKBONE = FOLDER / "diffusion", FOLDER / "clip", FOLDER / "backbone"
BACKBONE_MODEL, BACKBONE_ARGS = "resnet10t", {"channels": [32, 64, 128, 256], "stem_width": 16}
RARE_TOKEN = "V"
COMMON = ("a", "in", "on", "photo", "of")
WORDS = (*COMMON, *(word.lower() for word in NEUTRAL), *STYLES, *KINDS, *PLACES, *SPECIES, *SCENES)
TEXT_LENGTH = 24
LATENT_CHANNELS = 12
SIZE = 32


def learn_merges(words: tuple[str, ...]) -> list[tuple[str, str]]:
    """Byte-pair merges (Sennrich et al. 2016), the most frequent pair first, until each word is one token."""
    pieces, merges = [[*word[:-1], word[-1] + "</w>"] for word in words], []
    while pairs := Counter(pair for word in pieces for pair in pairwise(word)):
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        for word in pieces:
            for i in reversed(range(len(word) - 1)):
                if tuple(word[i : i + 2]) == best:
                    word[i : i + 2] = ["".join(best)]
    return merges


def write_tokenizer(folder: Path, words: tuple[str, ...] = WORDS) -> None:
    """Write a CLIP tokenizer whose merges make one token of each word (`V` as `v`); other words fall back
    to characters.
    """
    characters = [chr(c) for c in range(33, 127)]
    vocabulary = characters + [c + "</w>" for c in characters]
    merges = learn_merges(tuple(word.lower() for word in words))
    vocabulary += [a + b for a, b in merges]
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    unique = list(dict.fromkeys(vocabulary))
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(unique)}))
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    settings = {**special, "pad_token": "<|endoftext|>", "model_max_length": TEXT_LENGTH}
    (folder / "tokenizer_config.json").write_text(
        json.dumps({**settings, "tokenizer_class": "CLIPTokenizer"}, indent=1)
    )
    (folder / "special_tokens_map.json").write_text(
        json.dumps({**special, "pad_token": "<|endoftext|>"}, indent=1)
    )


def clip_config(vocabulary: int, bos: int, eos: int) -> "CLIPConfig":
    """Configuration of the scoring CLIP; its text tower conditions the UNet as well."""
    from transformers import CLIPConfig

    text = {
        "vocab_size": vocabulary,
        "hidden_size": 64,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": TEXT_LENGTH,
        "projection_dim": 64,
        "bos_token_id": bos,
        "eos_token_id": eos,  # never 2: that value turns on a legacy pooling
        "pad_token_id": eos,
    }
    vision = {
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "image_size": SIZE,
        "patch_size": 4,
        "projection_dim": 64,
    }
    return CLIPConfig(text_config=text, vision_config=vision, projection_dim=64)


def build_vae() -> "AutoencoderKL":
    """AutoencoderKL from 32 × 32 RGB to 8 × 8 latents."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(16, 32, 64),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=LATENT_CHANNELS,
        layers_per_block=1,
        norm_num_groups=8,
        sample_size=SIZE,
    )


def build_unet() -> "UNet2DConditionModel":
    """A UNet with a plain block at 8 × 8 and cross-attention at 4 × 4."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=SIZE // 4,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(64, 128),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=64,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def build_scheduler() -> "DDPMScheduler":
    """Stable Diffusion's noise schedule."""
    from diffusers import DDPMScheduler

    return DDPMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False, steps_offset=1
    )
