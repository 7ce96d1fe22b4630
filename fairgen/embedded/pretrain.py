"""Pretrain the embedded model: `python -m fairgen.embedded.pretrain` (about two hours on two CPU cores).

Three parts, each with fixed seeds: the scoring CLIP and the VAE (independent of each other), then the UNet. Only
drawings of the stream `world` are used. Settings, losses, checks and hashes go to `weights/record.json`.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from tqdm import tqdm

from fairgen.embedded import tiny
from fairgen.embedded.birds import KINDS, PLACES, Drawing, world

SEED, DRAWINGS = 2025, 40_000
CLIP_SETTINGS = {"steps": 2000, "batch": 128, "lr": 1.0e-3, "weight_decay": 0.05}
VAE_SETTINGS = {"steps": 7500, "batch": 32, "lr": 3.0e-3, "kl": 1.0e-6}
UNET_SETTINGS = {"steps": 6500, "batch": 64, "lr": 1.2e-3, "ema": 0.999, "drop_caption": 0.1, "min_snr": 5.0}


def drawings(count: int, name: str = "world") -> list[Drawing]:
    """Draw the first `count` drawings of a stream."""
    return [world(SEED, i, name) for i in tqdm(range(count), desc=f"draw {name}", mininterval=5)]


def to_tensor(images: np.ndarray) -> torch.Tensor:
    """(n, h, w, 3) uint8 to (n, 3, h, w) float32 in [-1, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1


def batches(count: int, size: int, steps: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield `steps` index batches, each row once before any row again."""
    order = np.empty(0, dtype=int)
    for _ in range(steps):
        if len(order) < size:
            order = np.concatenate([order, rng.permutation(count)])
        yield order[:size]
        order = order[size:]


def one_cycle(optimizer: torch.optim.Optimizer, lr: float, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """Warm-up over 5 % of the steps, then cosine to zero."""
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps, pct_start=0.05)


def write_record(part: str, entry: dict) -> None:
    """Add one part's entry and the hash of every weight file to the record."""
    path = tiny.FOLDER / "record.json"
    record = json.loads(path.read_text()) if path.exists() else {"seed": SEED, "world_drawings": DRAWINGS, "parts": {}}
    record["parts"][part] = {**entry, "torch": torch.__version__}
    files = sorted(tiny.FOLDER.rglob("*.safetensors"))
    record["sha256"] = {str(f.relative_to(tiny.FOLDER)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
    path.write_text(json.dumps(record, indent=1) + "\n")


# --- CLIP -------------------------------------------------------------------------------------------------------------


def caption_words(caption: str) -> tuple[str, str]:
    """Subject and place words of a caption."""
    words = caption.split()
    return words[1], words[3]


def truth(batch: list[Drawing]) -> torch.Tensor:
    """(n, n) matrix: 1 where caption j is true of image i; a batch holds many true captions for one image."""
    kind = {s: k for k, group in KINDS.items() for s in group}
    place = {s: p for p, group in PLACES.items() for s in group}
    pairs = [caption_words(d.caption) for d in batch]
    rows = [
        [float(subject in (d.species, kind[d.species]) and where in (d.scene, place[d.scene])) for subject, where in pairs]
        for d in batch
    ]
    return torch.tensor(rows)


def colour_shift(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Random affine change of the colour space, noise and flips, so that CLIP reads shapes in styles it never saw."""
    n = x.shape[0]
    mixing = torch.eye(3) + 0.18 * torch.randn(n, 3, 3, generator=generator)
    x = torch.einsum("nij,njhw->nihw", mixing, x) + 0.15 * torch.randn(n, 3, 1, 1, generator=generator)
    coarse = torch.randn(n, 1, 8, 8, generator=generator) * 0.12 * torch.rand(n, 1, 1, 1, generator=generator)
    x = x + F.interpolate(coarse, size=x.shape[-2:], mode="bilinear")
    x = x + 0.06 * torch.randn(x.shape, generator=generator)
    flip = torch.rand(n, generator=generator) < 0.5
    return torch.where(flip[:, None, None, None], x.flip(-1), x)


def train_clip() -> None:
    """Contrastive pretraining with soft targets for every caption that is true of an image."""
    from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

    torch.manual_seed(SEED)
    for folder in (tiny.CLIP, tiny.DIFFUSION / "tokenizer"):
        tiny.write_tokenizer(folder)
    tokenizer = CLIPTokenizer.from_pretrained(tiny.CLIP)
    model = CLIPModel(tiny.clip_config(len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id))
    data, cfg = drawings(DRAWINGS), CLIP_SETTINGS
    pixels = np.stack([d.pixels for d in data])
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg["lr"], weight_decay=cfg["weight_decay"], betas=(0.9, 0.98))
    schedule = one_cycle(optimizer, cfg["lr"], cfg["steps"])
    generator, losses = torch.Generator().manual_seed(SEED), []
    model.train()
    steps = batches(len(data), cfg["batch"], cfg["steps"], np.random.default_rng(SEED))
    for rows in tqdm(steps, total=cfg["steps"], desc="clip", mininterval=5):
        batch = [data[i] for i in rows]
        text = tokenizer([d.caption for d in batch], padding="max_length", return_tensors="pt")
        out = model(pixel_values=colour_shift(to_tensor(pixels[rows]), generator), **text)
        target = truth(batch)
        loss = F.cross_entropy(out.logits_per_image, target / target.sum(1, keepdim=True))
        loss = (loss + F.cross_entropy(out.logits_per_text, target.T / target.T.sum(1, keepdim=True))) / 2
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    model.eval().save_pretrained(tiny.CLIP)
    processor = {"size": {"shortest_edge": tiny.SIZE}, "crop_size": tiny.SIZE}
    CLIPImageProcessor(**processor, image_mean=[0.5] * 3, image_std=[0.5] * 3).save_pretrained(tiny.CLIP)
    text_encoder(model).save_pretrained(tiny.DIFFUSION / "text_encoder")
    write_record("clip", {**cfg, "loss": float(np.mean(losses[-100:]))})


def text_encoder(clip):
    """The CLIP's text tower as the pipeline's text encoder."""
    from transformers import CLIPTextModel

    encoder = CLIPTextModel(clip.config.text_config)
    weights = {k: v for k, v in clip.state_dict().items() if k.startswith("text_model.")}
    bare = {k.removeprefix("text_model."): v for k, v in weights.items()}
    encoder.load_state_dict(weights if next(iter(encoder.state_dict())).startswith("text_model.") else bare)
    return encoder


# --- VAE --------------------------------------------------------------------------------------------------------------


def train_vae() -> None:
    """Reconstruction (L1 + squared error) with a slight KL term; the scaling factor makes latents unit-variance."""
    torch.manual_seed(SEED + 1)
    model = tiny.build_vae().to(memory_format=torch.channels_last).train()
    pixels, cfg = np.stack([d.pixels for d in drawings(DRAWINGS)]), VAE_SETTINGS
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg["lr"], weight_decay=1e-4, betas=(0.9, 0.98))
    schedule, losses = one_cycle(optimizer, cfg["lr"], cfg["steps"]), []
    steps = batches(len(pixels), cfg["batch"], cfg["steps"], np.random.default_rng(SEED + 1))
    bar = tqdm(steps, total=cfg["steps"], desc="vae", mininterval=5)
    for rows in bar:
        x = to_tensor(pixels[rows]).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            posterior = model.encode(x).latent_dist
            decoded = model.decode(posterior.sample()).sample
        error = decoded.float() - x
        loss = error.abs().mean() + error.square().mean() + cfg["kl"] * posterior.kl().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
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
def encode(vae, pixels: np.ndarray, size: int = 250) -> tuple[torch.Tensor, torch.Tensor]:
    """Means and standard deviations of the latents, each (n, c, 8, 8), unscaled."""
    parts = [vae.encode(to_tensor(pixels[i : i + size])).latent_dist for i in range(0, len(pixels), size)]
    return torch.cat([p.mean for p in parts]), torch.cat([p.std for p in parts])


# --- UNet -------------------------------------------------------------------------------------------------------------


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
    """Denoising with min-SNR weights (arXiv 2303.09556) on cached latent moments; an EMA of the weights is kept."""
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
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        ema.step(unet.parameters())
        losses.append(loss.item())
        if step % snapshot == 0 or step == cfg["steps"]:
            bar.set_postfix(loss=round(float(np.mean(losses[-snapshot:])), 4))
            save_unet(unet, ema)
    write_record("unet", {**cfg, "loss": float(np.mean(losses[-snapshot:]))})


def save_unet(unet, ema) -> None:
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


PARTS = {"clip": train_clip, "vae": train_vae, "unet": train_unet}


def main() -> None:
    """Train the parts that are asked for, in order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=list(PARTS), help="default: all, in order")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=tiny.FOLDER, help="where the weights go")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    tiny.FOLDER, tiny.DIFFUSION, tiny.CLIP = (arguments.folder / p for p in ("", "diffusion", "clip"))
    for part in arguments.parts:
        started = time.monotonic()
        PARTS[part]()
        print(f"{part}: {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
