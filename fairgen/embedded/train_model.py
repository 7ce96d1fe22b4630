"""Pretrain an embedded model: `python -m fairgen.embedded.train_model` (about three hours on two CPU cores).

Parts with fixed seeds: the backbone, the CLIP, its vision tower once more as the scorer, the VAE, and the
UNet, which needs the CLIP's text tower and the VAE. Of birds only drawings of the stream `world` are used;
`--world faces DATA --folder OUT` makes the same of photographs. Settings, losses and hashes go to
`record.json` in the folder of the weights. A call that was interrupted goes on from its last checkpoint when
it is given again (with `--missing` without the parts that are done).
"""

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from fairgen.core.errors import FairgenError
from fairgen.core.workfolder import WorkFolder
from fairgen.embedded import drawings, faces, tiny
from fairgen.embedded.corpus import Corpus
from fairgen.embedded.train_backbone import BACKBONE_SETTINGS, train_backbone
from fairgen.embedded.train_clip import CLIP_SETTINGS, SCORER_SETTINGS, train_clip, train_scorer
from fairgen.embedded.train_common import (
    SEED,
    Training,
    colour_shift,
    fit,
    read_record,
    to_tensor,
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


def train_vae(training: Training) -> None:
    """Reconstruction (L1 + squared error) with a slight KL term; the scaling factor makes latents
    unit-variance.
    """
    torch.manual_seed(SEED + 1)
    model = tiny.build_vae().to(memory_format=torch.channels_last).train()
    pixels, cfg = training.corpus.pixels, training.settings
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg["lr"], weight_decay=1e-4, betas=(0.9, 0.98))
    generator = torch.Generator().manual_seed(SEED)

    def loss_of(rows: np.ndarray) -> tuple[torch.Tensor, float]:
        x = to_tensor(pixels[rows])
        half = len(x) // 2  # Stable Diffusion's autoencoder too has seen more than its denoiser
        x = torch.cat([x[:half], colour_shift(x[half:], generator)]).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            posterior = model.encode(x).latent_dist
            decoded = model.decode(posterior.sample()).sample
        error = decoded.float() - x
        squared = error.square().mean()
        return error.abs().mean() + squared + cfg["kl"] * posterior.kl().mean(), squared.item()

    errors = fit(training, list(model.state_dict().values()), optimizer, generator, SEED + 1, loss_of)
    model.eval()
    model.register_to_config(scaling_factor=float(1 / encode(model, pixels[:2000])[0].std()))
    model.save_pretrained(tiny.DIFFUSION / "vae")
    write_record(training, psnr_training=psnr(float(np.mean(errors[-100:]))))


def psnr(error: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error on the [-1, 1] scale."""
    return float(10 * np.log10(4 / error))


@torch.no_grad()
def encode(vae: "AutoencoderKL", pixels: np.ndarray, size: int = 250) -> tuple[torch.Tensor, torch.Tensor]:
    """Means and standard deviations of the latents, each (n, c, 8, 8), unscaled."""
    parts = [vae.encode(to_tensor(pixels[i : i + size])).latent_dist for i in range(0, len(pixels), size)]
    return torch.cat([p.mean for p in parts]), torch.cat([p.std for p in parts])


@torch.no_grad()
def caption_table(captions: list[str], size: int = 5000) -> tuple[dict[str, int], torch.Tensor]:
    """Row of each distinct caption (the empty one is row 0) and the text states (captions, length, width)."""
    from transformers import CLIPTextModel, CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(tiny.DIFFUSION / "tokenizer")
    encoder = CLIPTextModel.from_pretrained(tiny.DIFFUSION / "text_encoder", dtype=torch.float32).eval()
    texts = ["", *sorted(set(captions))]
    parts = [
        encoder(tokenizer(texts[i : i + size], padding="max_length", return_tensors="pt").input_ids)
        for i in range(0, len(texts), size)
    ]
    return {text: i for i, text in enumerate(texts)}, torch.cat([part.last_hidden_state for part in parts])


def train_unet(training: Training, snapshot: int = 500) -> None:
    """Denoising with min-SNR weights (arXiv 2303.09556) on cached latent moments; an EMA of the weights is
    kept.
    """
    from diffusers import AutoencoderKL
    from diffusers.training_utils import EMAModel, compute_snr

    torch.manual_seed(SEED + 2)
    corpus, cfg = training.corpus, training.settings
    vae = AutoencoderKL.from_pretrained(tiny.DIFFUSION / "vae").eval()
    mean, std = encode(vae, corpus.pixels)
    rows_of, states = caption_table(corpus.captions)
    caption = torch.tensor([rows_of[text] for text in corpus.captions])
    scheduler, unet = tiny.build_scheduler(), tiny.build_unet().to(memory_format=torch.channels_last).train()
    scheduler.save_pretrained(tiny.DIFFUSION / "scheduler")
    write_index()
    optimizer = torch.optim.AdamW(unet.parameters(), lr=cfg["lr"], weight_decay=1e-3, betas=(0.9, 0.99))
    ema, generator = EMAModel(unet.parameters(), decay=cfg["ema"]), torch.Generator()

    def loss_of(chosen: np.ndarray) -> tuple[torch.Tensor, float]:
        rows = torch.from_numpy(chosen)
        latents = (mean[rows] + std[rows] * torch.randn_like(std[rows])) * vae.config.scaling_factor
        noise, t = torch.randn_like(latents), torch.randint(0, 1000, (len(rows),))
        dropped = torch.rand(len(rows)) < cfg["drop_caption"]
        text = states[torch.where(dropped, 0, caption[rows])]
        noisy = scheduler.add_noise(latents, noise, t).to(memory_format=torch.channels_last)
        snr = compute_snr(scheduler, t)
        weight = torch.clamp(snr, max=cfg["min_snr"]) / snr
        loss = ((unet(noisy, t, text).sample - noise).square().mean((1, 2, 3)) * weight).mean()
        return loss, loss.item()

    def after(step: int) -> None:
        ema.optimization_step = step - 1  # of an interrupted call as well
        ema.step(unet.parameters())
        if step % snapshot == 0 or step == cfg["steps"]:
            save_unet(unet, ema)

    changing = [*unet.state_dict().values(), *ema.shadow_params]
    losses = fit(training, changing, optimizer, generator, SEED + 2, loss_of, after)
    write_record(training, loss=float(np.mean(losses[-snapshot:])))


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
    "backbone": (train_backbone, BACKBONE_SETTINGS),
    "clip": (train_clip, CLIP_SETTINGS),
    "scorer": (train_scorer, SCORER_SETTINGS),
    "vae": (train_vae, VAE_SETTINGS),
    "unet": (train_unet, UNET_SETTINGS),
}


def corpus_of(words: list[str]) -> Corpus:
    """The pictures of `--world birds` or of `--world faces DATA`.

    Raises:
        FairgenError: it is neither, or DATA lacks a file.
    """
    if words == ["birds"]:
        return drawings.corpus(SEED)
    if len(words) == 2 and words[0] == "faces":
        return faces.corpus(SEED, Path(words[1]))
    raise FairgenError(f"--world {' '.join(words)}: expected birds, or faces and the folder of its files")


def check_folder(folder: Path, words: list[str]) -> None:
    """Weights made from other people's photographs stay out of the project.

    Raises:
        FairgenError: they would lie in it, in another folder than data/ and results/, which git leaves out.
    """
    project = Path(__file__).resolve().parents[2]
    place = folder.resolve()
    ignored = any(place.is_relative_to(project / name) for name in ("data", "results"))
    if words[0] != "birds" and place.is_relative_to(project) and not ignored:
        raise FairgenError(
            f"--folder {folder}: weights made from photographs must not lie in the project; name a folder"
            " elsewhere, or one in its data/ or results/"
        )


def train(parts: list[str], corpus: Corpus, missing: bool) -> None:
    """Train the parts in order; with `missing` those only that the record lacks."""
    for part in parts:
        if missing and part in read_record().get("parts", {}):
            continue
        started, (function, settings) = time.monotonic(), PARTS[part]
        work = WorkFolder(tiny.FOLDER / part, {**settings, **corpus.about, "seed": SEED})
        work.lock(print)
        done = False
        try:
            function(Training(part, corpus, settings, work))
            done = True
        finally:
            work.close(done)
        print(f"{part}: {time.monotonic() - started:.0f} s")


def main() -> None:
    """Train the parts that are asked for, in order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--world", nargs="+", default=["birds"], metavar="WORD", help="birds (default), or faces DATA"
    )
    parser.add_argument(
        "--parts", nargs="+", choices=list(PARTS), default=list(PARTS), help="default: all, in order"
    )
    parser.add_argument(
        "--missing", action="store_true", help="only parts that are not in the folder's record"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=tiny.FOLDER, help="where the weights go")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    try:
        check_folder(arguments.folder, arguments.world)
        corpus = corpus_of(arguments.world)
    except FairgenError as error:
        parser.error(str(error))
    tiny.FOLDER = arguments.folder
    tiny.DIFFUSION, tiny.CLIP, tiny.BACKBONE = (tiny.FOLDER / p for p in ("diffusion", "clip", "backbone"))
    train(arguments.parts, corpus, arguments.missing)


if __name__ == "__main__":
    main()
