"""Random-weight miniatures of each architecture of Stable Diffusion, in diffusers' folder layout."""

from collections.abc import Callable
from pathlib import Path

import torch

from fairgen.embedded import tiny

UNET = {
    "sample_size": 8,
    "block_out_channels": (8, 16),
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "attention_head_dim": 4,
    "norm_num_groups": 4,
}
XL = {
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 4,
    "projection_class_embeddings_input_dim": 6 * 4 + 12,
    "transformer_layers_per_block": (1, 2),
    "use_linear_projection": True,
}
SCHEDULE = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "clip_sample": False,
    "steps_offset": 1,
}
ARCHITECTURES = ("sd15", "sd2", "sd2-v", "sdxl")


def text_config(act: str = "quick_gelu", layers: int = 2, width: int = 16):
    """A CLIP text tower for the embedded tokenizer's 320 words."""
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=320,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        max_position_embeddings=tiny.TEXT_LENGTH,
        projection_dim=12,
        hidden_act=act,
        bos_token_id=318,
        eos_token_id=319,
        pad_token_id=319,
    )


def build(
    folder: Path, architecture: str, variant: str | None = None, dtype: torch.dtype = torch.float32
) -> Path:
    """Write a pipeline of one of `ARCHITECTURES`; returns its folder."""
    from diffusers import (
        AutoencoderKL,
        DDPMScheduler,
        EulerDiscreteScheduler,
        PNDMScheduler,
        StableDiffusionPipeline,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    torch.manual_seed(0)
    tiny.write_tokenizer(folder / "words")
    tokenizer = CLIPTokenizer.from_pretrained(folder / "words")
    vae = AutoencoderKL(
        block_out_channels=(4, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        norm_num_groups=2,
        sample_size=32,
    )
    parts = {"vae": vae, "tokenizer": tokenizer}
    if architecture == "sdxl":
        parts |= {
            "scheduler": EulerDiscreteScheduler(**{k: v for k, v in SCHEDULE.items() if k != "clip_sample"}),
            "unet": UNet2DConditionModel(**UNET, **XL, cross_attention_dim=16 + 24),
            "text_encoder": CLIPTextModel(text_config()),
            "text_encoder_2": CLIPTextModelWithProjection(text_config("gelu", 3, 24)),
            "tokenizer_2": tokenizer,
        }
        pipeline = StableDiffusionXLPipeline(**parts, force_zeros_for_empty_prompt=True)
    else:
        second = architecture != "sd15"
        zero = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}
        ddpm = DDPMScheduler(**SCHEDULE, **(zero if architecture == "sd2-v" else {}))
        parts |= {
            "scheduler": ddpm
            if second
            else PNDMScheduler(**{k: v for k, v in SCHEDULE.items() if k != "clip_sample"}),
            "unet": UNet2DConditionModel(**UNET, cross_attention_dim=16, use_linear_projection=second),
            "text_encoder": CLIPTextModel(text_config("gelu" if second else "quick_gelu")),
        }
        pipeline = StableDiffusionPipeline(
            **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
    place = folder / architecture
    pipeline.to(dtype).save_pretrained(place, variant=variant)
    return place


Tensors = dict[str, torch.Tensor]
# what may be wrong with a file, by the name of one of its tensors
SPOILT: dict[str, Callable[[Tensors, str], Tensors]] = {
    "dropped": lambda tensors, name: {n: x for n, x in tensors.items() if n != name},
    "renamed": lambda tensors, name: {n + "_" * (n == name): x for n, x in tensors.items()},
    "prefixed": lambda tensors, name: {f"model.{n}": x for n, x in tensors.items()},
    "added": lambda tensors, name: {**tensors, f"{name}_": torch.zeros(1)},
    "reshaped": lambda tensors, name: {n: x.flatten()[:-1] if n == name else x for n, x in tensors.items()},
    "quantised": lambda tensors, name: {n: x.to(torch.int8) if n == name else x for n, x in tensors.items()},
}


def spoil(file: Path, how: str, name: str) -> None:
    """Spoil a safetensors file in one of the ways of `SPOILT`; its metadata stays."""
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    with safe_open(file, framework="pt") as stored:
        metadata = stored.metadata()
    tensors = SPOILT[how](load_file(file), name)
    file.unlink()
    save_file({n: x.contiguous() for n, x in tensors.items()}, file, metadata=metadata)
