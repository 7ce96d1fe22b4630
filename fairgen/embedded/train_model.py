"""Pretrain the embedded model: `python -m fairgen.embedded.train_model` (about three hours on two CPU cores).

Five parts, each with fixed seeds: the backbone, the CLIP, its vision tower once more as the scorer, the VAE,
and the UNet, which needs the CLIP's text tower and the VAE. Only drawings of the stream `world` are used.
Settings, losses, checks and hashes go to `weights/record.json`.
"""

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm import tqdm

from fairgen.embedded import tiny
from fairgen.embedded.train_backbone import train_backbone
from fairgen.embedded.train_clip import train_clip, train_scorer
from fairgen.embedded.train_common import (
    DRAWINGS,
    SEED,
    batches,
    colour_shift,
    drawings,
    one_cycle,
    to_tensor,
    update,
    write_record,
)

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from diffusers.training_utils import EMAModel

VAE_SETTINGS: dict[str, Any] = {"steps": 7500, "batch": 32, "lr": 3.0e-3, "kl": 1.0e-6}
UNET_SETTINGS: dict[str, Any] = {
    "steps": 6500,
    "batch": 64,
    "lr": 1.2e-3,
    "ema": 0.999,
    "drop_caption": 0.1,
    "min_snr": 5.0,
}


def train_vae() -> None:
    """Reconstruction (L1 + squared error) with a slight KL term; the scaling factor makes latents
    unit-variance.
    """
    torch.manual_seed(SEED + 1)
    model = tiny.build_vae().to(memory_format=torch.channels_last).train()
    pixels, cfg = np.stack([d.pixels for d in drawings(DRAWINGS)]), VAE_SETTINGS
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg["lr"], weight_decay=1e-4, betas=(0.9, 0.98))
    schedule, losses = one_cycle(optimizer, cfg["lr"], cfg["steps"]), []
    steps = batches(len(pixels), cfg["batch"], cfg["steps"], np.random.default_rng(SEED + 1))
    bar, generator = (
        tqdm(steps, total=cfg["steps"], desc="vae", mininterval=5),
        torch.Generator().manual_seed(SEED),
    )
    for rows in bar:
        x = to_tensor(pixels[rows])
        half = len(x) // 2  # Stable Diffusion's autoencoder too has seen more than its denoiser
        x = torch.cat([x[:half], colour_shift(x[half:], generator)]).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            posterior = model.encode(x).latent_dist
            decoded = model.decode(posterior.sample()).sample
        error = decoded.float() - x
        loss = error.abs().mean() + error.square().mean() + cfg["kl"] * posterior.kl().mean()
        update(loss, optimizer, schedule)
        losses.append(error.square().mean().item())
        if len(losses) % 100 == 0:
            bar.set_postfix(psnr=round(psnr(np.mean(losses[-100:])), 2))
    model.eval()
    model.register_to_config(scaling_factor=float(1 / encode(model, pixels[:2000])[0].std()))
    model.save_pretrained(tiny.DIFFUSION / "vae")
    write_record("vae", {**cfg, "psnr_training": psnr(np.mean(losses[-100:]))})


def psnr(error: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error on the [-1, 1] scale."""
    return float(10 * np.log10(4 / error))


@torch.no_grad()
def encode(vae: "AutoencoderKL", pixels: np.ndarray, size: int = 250) -> tuple[torch.Tensor, torch.Tensor]:
    """Means and standard deviations of the latents, each (n, c, 8, 8), unscaled."""
    parts = [vae.encode(to_tensor(pixels[i : i + size])).latent_dist for i in range(0, len(pixels), size)]
    return torch.cat([p.mean for p in parts]), torch.cat([p.std for p in parts])


@torch.no_grad()
def caption_table(captions: list[str]) -> tuple[dict[str, int], torch.Tensor]:
    """Row of each distinct caption (the empty one is row 0) and the text states (captions, length, width)."""
    from transformers import CLIPTextModel, CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(tiny.DIFFUSION / "tokenizer")
    encoder = CLIPTextModel.from_pretrained(tiny.DIFFUSION / "text_encoder", dtype=torch.float32).eval()
    texts = ["", *sorted(set(captions))]
    tokens = tokenizer(texts, padding="max_length", return_tensors="pt")
    return {text: i for i, text in enumerate(texts)}, encoder(tokens.input_ids).last_hidden_state


def train_unet(snapshot: int = 500) -> None:
    """Denoising with min-SNR weights (arXiv 2303.09556) on cached latent moments; an EMA of the weights is
    kept.
    """
    from diffusers import AutoencoderKL
    from diffusers.training_utils import EMAModel, compute_snr

    torch.manual_seed(SEED + 2)
    data, cfg = drawings(DRAWINGS), UNET_SETTINGS
    vae = AutoencoderKL.from_pretrained(tiny.DIFFUSION / "vae").eval()
    mean, std = encode(vae, np.stack([d.pixels for d in data]))
    rows_of, states = caption_table([d.caption for d in data])
    caption = torch.tensor([rows_of[d.caption] for d in data])
    scheduler, unet = tiny.build_scheduler(), tiny.build_unet().to(memory_format=torch.channels_last).train()
    scheduler.save_pretrained(tiny.DIFFUSION / "scheduler")
    write_index()
    optimizer = torch.optim.AdamW(unet.parameters(), lr=cfg["lr"], weight_decay=1e-3, betas=(0.9, 0.99))
    schedule, losses = one_cycle(optimizer, cfg["lr"], cfg["steps"]), []
    ema = EMAModel(unet.parameters(), decay=cfg["ema"])
    bar = tqdm(
        batches(len(data), cfg["batch"], cfg["steps"], np.random.default_rng(SEED + 2)),
        total=cfg["steps"],
        desc="unet",
        mininterval=5,
    )
    for step, chosen in enumerate(bar, 1):
        rows = torch.from_numpy(chosen)
        latents = (mean[rows] + std[rows] * torch.randn_like(std[rows])) * vae.config.scaling_factor
        noise, t = torch.randn_like(latents), torch.randint(0, 1000, (len(rows),))
        dropped = torch.rand(len(rows)) < cfg["drop_caption"]
        text = states[torch.where(dropped, 0, caption[rows])]
        noisy = scheduler.add_noise(latents, noise, t).to(memory_format=torch.channels_last)
        snr = compute_snr(scheduler, t)
        weight = torch.clamp(snr, max=cfg["min_snr"]) / snr
        loss = ((unet(noisy, t, text).sample - noise).square().mean((1, 2, 3)) * weight).mean()
        update(loss, optimizer, schedule)
        ema.step(unet.parameters())
        losses.append(loss.item())
        if step % snapshot == 0 or step == cfg["steps"]:
            bar.set_postfix(loss=round(float(np.mean(losses[-snapshot:])), 4))
            save_unet(unet, ema)
    write_record("unet", {**cfg, "loss": float(np.mean(losses[-snapshot:]))})


def save_unet(unet: "UNet2DConditionModel", ema: "EMAModel") -> None:
    """Write the averaged weights, keeping the trained ones in place."""
    ema.store(unet.parameters())
    ema.copy_to(unet.parameters())
    unet.save_pretrained(tiny.DIFFUSION / "unet")
    ema.restore(unet.parameters())


def write_index() -> None:
    """Write the pipeline's `model_index.json`."""
    parts = {
        "vae": ["diffusers", "AutoencoderKL"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "scheduler": ["diffusers", "DDPMScheduler"],
        "safety_checker": [None, None],
        "feature_extractor": [None, None],
    }
    index = {"_class_name": "StableDiffusionPipeline", "requires_safety_checker": False, **parts}
    (tiny.DIFFUSION / "model_index.json").write_text(json.dumps(index, indent=1) + "\n")


PARTS = {
    "backbone": train_backbone,
    "clip": train_clip,
    "scorer": train_scorer,
    "vae": train_vae,
    "unet": train_unet,
}


def main() -> None:
    """Train the parts that are asked for, in order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--parts", nargs="+", choices=list(PARTS), default=list(PARTS), help="default: all, in order"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=tiny.FOLDER, help="where the weights go")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    tiny.FOLDER = arguments.folder
    tiny.DIFFUSION, tiny.CLIP, tiny.BACKBONE = (tiny.FOLDER / p for p in ("diffusion", "clip", "backbone"))
    for part in arguments.parts:
        started = time.monotonic()
        PARTS[part]()
        print(f"{part}: {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
