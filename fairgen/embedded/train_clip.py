"""Pretraining of the embedded CLIP, whose text tower also conditions the UNet."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F
from tqdm import tqdm

from fairgen.embedded import tiny
from fairgen.embedded.birds import KINDS, PLACES, Drawing
from fairgen.embedded.train_common import (
    DRAWINGS,
    SEED,
    batches,
    drawings,
    one_cycle,
    to_tensor,
    update,
    write_record,
)

if TYPE_CHECKING:
    from transformers import CLIPModel, CLIPTextModel

CLIP_SETTINGS: dict[str, Any] = {"steps": 2000, "batch": 128, "lr": 1.0e-3, "weight_decay": 0.05}


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
        [
            float(subject in (d.species, kind[d.species]) and where in (d.scene, place[d.scene]))
            for subject, where in pairs
        ]
        for d in batch
    ]
    return torch.tensor(rows)


def colour_shift(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Random affine change of the colour space, noise and flips, so that CLIP reads shapes in styles it never
    saw.
    """
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
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=cfg["lr"], weight_decay=cfg["weight_decay"], betas=(0.9, 0.98)
    )
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
        update(loss, optimizer, schedule)
        losses.append(loss.item())
    model.eval().save_pretrained(tiny.CLIP)
    processor = {"size": {"shortest_edge": tiny.SIZE}, "crop_size": tiny.SIZE}
    CLIPImageProcessor(**processor, image_mean=[0.5] * 3, image_std=[0.5] * 3).save_pretrained(tiny.CLIP)
    text_encoder(model).save_pretrained(tiny.DIFFUSION / "text_encoder")
    write_record("clip", {**cfg, "loss": float(np.mean(losses[-100:]))})


def text_encoder(clip: "CLIPModel") -> "CLIPTextModel":
    """The CLIP's text tower as the pipeline's text encoder."""
    from transformers import CLIPTextModel

    encoder = CLIPTextModel(clip.config.text_config)
    weights = {k: v for k, v in clip.state_dict().items() if k.startswith("text_model.")}
    bare = {k.removeprefix("text_model."): v for k, v in weights.items()}
    encoder.load_state_dict(weights if next(iter(encoder.state_dict())).startswith("text_model.") else bare)
    return encoder
