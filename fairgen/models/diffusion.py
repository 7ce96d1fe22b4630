"""Stable Diffusion in diffusers' folder layout, part by part: a job loads just the parts that it uses."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairgen import devices
from fairgen.models import locate, missing, quiet, tokenize
from fairgen.models.lean import lean

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Base:
    """The base model: hub id or folder, its revision and variant, the dtype of its frozen parts, the picture size."""

    model: str
    revision: str | None
    variant: str | None
    dtype: str
    resolution: int


def _load(kind: Any, base: Base, part: str, **options: Any) -> Any:
    place = locate(base.model)
    extra = {"revision": base.revision, "variant": base.variant} if options else {"revision": base.revision}
    try:
        return kind.from_pretrained(place, subfolder=part, **extra, **options)
    except (OSError, ValueError) as error:
        raise missing(base.model, "diffusion.model", error) from error


def load_unet(base: Base, dtype: torch.dtype | None = None) -> torch.nn.Module:
    """The denoiser, frozen and in evaluation mode; `dtype` overrides the base's."""
    with lean():
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    unet = _load(UNet2DConditionModel, base, "unet", torch_dtype=dtype or DTYPES[base.dtype])
    return unet.requires_grad_(False).eval().to(devices.current(), memory_format=torch.channels_last)


def load_vae(base: Base) -> torch.nn.Module:
    """The autoencoder; never float16, which overflows in its decoder."""
    with lean():
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    dtype = torch.float32 if base.dtype == "float16" else DTYPES[base.dtype]
    return _load(AutoencoderKL, base, "vae", torch_dtype=dtype).requires_grad_(False).eval().to(devices.current())


def noise_schedule(base: Base) -> Any:
    """The training noise schedule (DDPM, Ho et al. 2020)."""
    with lean():
        from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    return _load(DDPMScheduler, base, "scheduler")


def sampler(base: Base, kind: str) -> Any:
    """A fast solver on the base's own schedule: `dpmsolver++` (arXiv 2211.01095) or `unipc` (arXiv 2302.04867).

    Steps are spaced from the last training step on (arXiv 2305.08891, section 3.3): the spacing that most folders ask for
    starts a ten-step run at step 900 of 1,000 with pure noise, and the images come out pale.
    """
    config = {**noise_schedule(base).config, "timestep_spacing": "trailing"}
    if kind == "unipc":
        with lean():
            from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

        return UniPCMultistepScheduler.from_config(config)
    with lean():
        from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

    return DPMSolverMultistepScheduler.from_config(config, algorithm_type="dpmsolver++", solver_order=2)


def load_tokenizer(base: Base) -> Any:
    """The tokenizer of the base's text encoder.

    Raises:
        FairgenError: there is none; transformers then makes one without words instead of failing.
    """
    with lean():
        from transformers.models.clip.tokenization_clip import CLIPTokenizer

    quiet()
    tokenizer = _load(CLIPTokenizer, base, "tokenizer")
    if len(tokenizer.get_vocab()) <= len(tokenizer.all_special_tokens):
        raise missing(base.model, "diffusion.model", FileNotFoundError("its tokenizer is not there"))
    return tokenizer


@torch.inference_mode()
def encode_prompts(base: Base, prompts: list[str]) -> torch.Tensor:
    """Text states (n, length, width) of the prompts; the text encoder is released afterwards."""
    with lean():
        from transformers.models.clip.modeling_clip import CLIPTextModel

    tokens = tokenize(load_tokenizer(base), prompts).to(devices.current())
    encoder = _load(CLIPTextModel, base, "text_encoder", dtype=DTYPES[base.dtype]).eval().to(devices.current())
    return encoder(tokens.input_ids).last_hidden_state.clone()


@torch.inference_mode()
def encode_images(vae: torch.nn.Module, pixels: np.ndarray, batch: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Latent moments of (n, h, w, 3) uint8: scaled means and standard deviations, each (n, c, h', w') float32 on the CPU."""
    means, stds = [], []
    for i in range(0, len(pixels), batch):
        x = torch.from_numpy(pixels[i : i + batch]).permute(0, 3, 1, 2).float() / 127.5 - 1
        posterior = vae.encode(x.to(vae.device, vae.dtype)).latent_dist
        means.append(posterior.mean.float().cpu())
        stds.append(posterior.std.float().cpu())
    scale = vae.config.scaling_factor
    return torch.cat(means).clone() * scale, torch.cat(stds).clone() * scale


@torch.inference_mode()
def decode_latents(vae: torch.nn.Module, latents: torch.Tensor) -> np.ndarray:
    """Scaled latents to (n, h, w, 3) uint8.

    Raises:
        FloatingPointError: the decoder's output is not finite.
    """
    x = vae.decode((latents / vae.config.scaling_factor).to(vae.device, vae.dtype)).sample.float()
    if not torch.isfinite(x).all():
        raise FloatingPointError("decoded images are not finite")
    return ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def identity(base: Base) -> str:
    """What an adapter was trained on: a hash of the local UNet's config, or the hub id and revision."""
    config = Path(locate(base.model)) / "unet"
    if not config.is_dir():
        return f"{base.model}@{base.revision or 'main'}"
    weights = sorted(config.glob("*.safetensors"))
    digest = hashlib.sha256((config / "config.json").read_bytes())
    for file in weights:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
