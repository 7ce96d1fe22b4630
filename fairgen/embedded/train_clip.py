"""Pretraining of the embedded CLIP, whose text tower also conditions the UNet."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from fairgen.embedded import tiny
from fairgen.embedded.corpus import truth
from fairgen.embedded.train_common import (
    SEED,
    Training,
    colour_shift,
    fit,
    reframed,
    to_tensor,
    write_record,
)

if TYPE_CHECKING:
    from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer

TOKEN_SPREAD = 0.3  # of the words' embeddings before training; transformers' 0.02 lets rare words vanish
SCORER_SETTINGS: dict[str, Any] = {"steps": 1800, "batch": 128, "lr": 7.0e-4, "weight_decay": 0.05}
CLIP_SETTINGS: dict[str, Any] = {"steps": 2000, "batch": 128, "lr": 1.0e-3, "weight_decay": 0.05}

UNKNOWN = -1.0e4  # logit of a pair of which the labels do not tell whether it fits


def train_clip(training: Training) -> None:
    """Contrastive pretraining with soft targets for every caption that is true of a picture."""
    from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

    torch.manual_seed(SEED)
    for folder in (tiny.CLIP, tiny.DIFFUSION / "tokenizer"):
        tiny.write_tokenizer(folder, training.corpus.words)
    tokenizer = CLIPTokenizer.from_pretrained(tiny.CLIP)
    model = CLIPModel(tiny.clip_config(len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id))
    # a word keeps a state of its own through two layers, whether it says anything of pictures or not
    torch.nn.init.normal_(model.text_model.embeddings.token_embedding.weight, std=TOKEN_SPREAD)
    losses = contrast(training, model.train(), tokenizer, SEED, colour_shift)
    model.eval().save_pretrained(tiny.CLIP)
    processor = {"size": {"shortest_edge": tiny.SIZE}, "crop_size": tiny.SIZE}
    CLIPImageProcessor(**processor, image_mean=[0.5] * 3, image_std=[0.5] * 3).save_pretrained(tiny.CLIP)
    text_encoder(model).save_pretrained(tiny.DIFFUSION / "text_encoder")
    write_record(training, loss=float(np.mean(losses[-100:])))


def train_scorer(training: Training) -> None:
    """Train the CLIP's vision tower on, with the text tower as it is, on pictures in other framings, haze and
    grain: a CLIP that has seen one world judges others badly, and the text tower already conditions the UNet.
    """
    from transformers import CLIPModel, CLIPTokenizer

    torch.manual_seed(SEED + 4)
    tokenizer, model = CLIPTokenizer.from_pretrained(tiny.CLIP), CLIPModel.from_pretrained(tiny.CLIP).train()
    for weights in (model.text_model, model.text_projection):
        weights.requires_grad_(False)

    def view(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return colour_shift(reframed(x, generator), generator)

    losses = contrast(training, model, tokenizer, SEED + 4, view)
    model.eval().save_pretrained(tiny.CLIP)
    write_record(training, loss=float(np.mean(losses[-100:])))


def contrast(
    training: Training,
    model: "CLIPModel",
    tokenizer: "CLIPTokenizer",
    seed: int,
    view: Callable[[torch.Tensor, torch.Generator], torch.Tensor],
) -> list[float]:
    """Train those weights of a CLIP that may learn; `view` is what it sees of each batch. Returns the
    losses.
    """
    corpus, cfg = training.corpus, training.settings
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=cfg["lr"], weight_decay=cfg["weight_decay"], betas=(0.9, 0.98))
    generator = torch.Generator().manual_seed(seed)

    def loss_of(rows: np.ndarray) -> tuple[torch.Tensor, float]:
        captions = [corpus.captions[i] for i in rows]
        text = tokenizer(captions, padding="max_length", return_tensors="pt")
        seen = view(to_tensor(corpus.pixels[rows]), generator)
        target, known = (torch.from_numpy(x) for x in truth(corpus, rows))
        loss = matched(model(pixel_values=seen, **text), target.float(), known)
        return loss, loss.item()

    return fit(training, list(model.state_dict().values()), optimizer, generator, seed, loss_of)


def matched(out: Any, target: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Contrastive loss of a CLIP's answer with soft targets (n, n), over pictures and over captions; pairs
    that are not `known` (n, n) count neither way.
    """
    pictures, texts = (
        x.masked_fill(~k, UNKNOWN) for x, k in ((out.logits_per_image, known), (out.logits_per_text, known.T))
    )
    loss = F.cross_entropy(pictures, target / target.sum(1, keepdim=True))
    return (loss + F.cross_entropy(texts, target.T / target.T.sum(1, keepdim=True))) / 2


def text_encoder(clip: "CLIPModel") -> "CLIPTextModel":
    """The CLIP's text tower as the pipeline's text encoder."""
    from transformers import CLIPTextModel

    encoder = CLIPTextModel(clip.config.text_config)
    weights = {k: v for k, v in clip.state_dict().items() if k.startswith("text_model.")}
    bare = {k.removeprefix("text_model."): v for k, v in weights.items()}
    encoder.load_state_dict(weights if next(iter(encoder.state_dict())).startswith("text_model.") else bare)
    return encoder
