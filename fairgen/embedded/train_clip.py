"""Pretraining of the embedded CLIP, whose text tower also conditions the UNet."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F
from tqdm import tqdm

from fairgen.embedded import tiny
from fairgen.embedded.birds import Drawing, kind_of, place_of
from fairgen.embedded.train_common import (
    DRAWINGS,
    SEED,
    batches,
    colour_shift,
    drawings,
    one_cycle,
    reframed,
    to_tensor,
    update,
    write_record,
)
from fairgen.embedded.world import NEUTRAL

if TYPE_CHECKING:
    from transformers import CLIPModel, CLIPTextModel

TOKEN_SPREAD = 0.3  # of the words' embeddings before training; transformers' 0.02 lets rare words vanish
SCORER_SETTINGS: dict[str, Any] = {"steps": 1800, "batch": 128, "lr": 7.0e-4, "weight_decay": 0.05}
CLIP_SETTINGS: dict[str, Any] = {"steps": 2000, "batch": 128, "lr": 1.0e-3, "weight_decay": 0.05}


def truth(batch: list[Drawing]) -> torch.Tensor:
    """(n, n) matrix: 1 where caption j is true of image i; a batch holds many true captions for one image.

    A word that says nothing is true of every image; a wrong caption still counts as true of its own.
    """
    rows = [[float(all(map(words_of(d).__contains__, c.caption.split()))) for c in batch] for d in batch]
    return torch.tensor(rows).fill_diagonal_(1.0)


def words_of(drawing: Drawing) -> set[str]:
    """Every word that a caption may say of a drawing."""
    own = {drawing.species, drawing.scene, kind_of(drawing.species), place_of(drawing.scene), drawing.look}
    return own | {*tiny.COMMON, *NEUTRAL}


def train_clip() -> None:
    """Contrastive pretraining with soft targets for every caption that is true of an image."""
    from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

    torch.manual_seed(SEED)
    for folder in (tiny.CLIP, tiny.DIFFUSION / "tokenizer"):
        tiny.write_tokenizer(folder)
    tokenizer = CLIPTokenizer.from_pretrained(tiny.CLIP)
    model = CLIPModel(tiny.clip_config(len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id))
    # a word keeps a state of its own through two layers, whether it says anything of pictures or not
    torch.nn.init.normal_(model.text_model.embeddings.token_embedding.weight, std=TOKEN_SPREAD)
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
        loss = matched(out, truth(batch))
        update(loss, optimizer, schedule)
        losses.append(loss.item())
    model.eval().save_pretrained(tiny.CLIP)
    processor = {"size": {"shortest_edge": tiny.SIZE}, "crop_size": tiny.SIZE}
    CLIPImageProcessor(**processor, image_mean=[0.5] * 3, image_std=[0.5] * 3).save_pretrained(tiny.CLIP)
    text_encoder(model).save_pretrained(tiny.DIFFUSION / "text_encoder")
    write_record("clip", {**cfg, "loss": float(np.mean(losses[-100:]))})


def train_scorer() -> None:
    """Train the CLIP's vision tower on, with the text tower as it is, on drawings in other framings, haze and
    grain: a CLIP that has seen one world judges others badly, and the text tower already conditions the UNet.
    """
    from transformers import CLIPModel, CLIPTokenizer

    torch.manual_seed(SEED + 4)
    tokenizer, model = CLIPTokenizer.from_pretrained(tiny.CLIP), CLIPModel.from_pretrained(tiny.CLIP).train()
    for weights in (model.text_model, model.text_projection):
        weights.requires_grad_(False)
    data, cfg = drawings(DRAWINGS), SCORER_SETTINGS
    pixels = np.stack([d.pixels for d in data])
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=cfg["lr"], weight_decay=cfg["weight_decay"], betas=(0.9, 0.98))
    schedule = one_cycle(optimizer, cfg["lr"], cfg["steps"])
    generator, losses = torch.Generator().manual_seed(SEED + 4), []
    steps = batches(len(data), cfg["batch"], cfg["steps"], np.random.default_rng(SEED + 4))
    for rows in tqdm(steps, total=cfg["steps"], desc="scorer", mininterval=5):
        batch = [data[i] for i in rows]
        text = tokenizer([d.caption for d in batch], padding="max_length", return_tensors="pt")
        seen = colour_shift(reframed(to_tensor(pixels[rows]), generator), generator)
        loss = matched(model(pixel_values=seen, **text), truth(batch))
        update(loss, optimizer, schedule)
        losses.append(loss.item())
    model.eval().save_pretrained(tiny.CLIP)
    write_record("scorer", {**cfg, "loss": float(np.mean(losses[-100:]))})


def matched(out: Any, target: torch.Tensor) -> torch.Tensor:
    """Contrastive loss of a CLIP's answer with soft targets (n, n), over images and over captions."""
    loss = F.cross_entropy(out.logits_per_image, target / target.sum(1, keepdim=True))
    return (loss + F.cross_entropy(out.logits_per_text, target.T / target.T.sum(1, keepdim=True))) / 2


def text_encoder(clip: "CLIPModel") -> "CLIPTextModel":
    """The CLIP's text tower as the pipeline's text encoder."""
    from transformers import CLIPTextModel

    encoder = CLIPTextModel(clip.config.text_config)
    weights = {k: v for k, v in clip.state_dict().items() if k.startswith("text_model.")}
    bare = {k.removeprefix("text_model."): v for k, v in weights.items()}
    encoder.load_state_dict(weights if next(iter(encoder.state_dict())).startswith("text_model.") else bare)
    return encoder
