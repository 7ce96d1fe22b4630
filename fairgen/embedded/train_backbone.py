"""Pretraining of the embedded backbone, from which every method's classifier starts, as from ImageNet's
elsewhere.

SimCLR (Chen et al. 2020, arXiv 2002.05709) on pictures of the world: two views of each, cropped, mirrored and
shifted in colour a little, are told apart from those of all others. No label is read. As an encoder it sees
colour and texture, to which the scoring CLIP is trained to be blind.
"""

import json
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from fairgen.embedded import tiny
from fairgen.embedded.train_common import SEED, Training, fit, write_record

BACKBONE_SETTINGS: dict[str, Any] = {
    "steps": 2500,
    "batch": 128,
    "lr": 2.0e-3,
    "weight_decay": 1.0e-4,
    "temperature": 0.2,
    "projection": 128,
    "colour": 0.15,
}


def views(x: torch.Tensor, colour: float, generator: torch.Generator) -> torch.Tensor:
    """A random view of each image (n, 3, h, w) in [0, 1]: half to all of its area, mirrored or not, with
    another brightness, contrast and saturation.
    """
    n, device = len(x), x.device
    side = (0.5 + 0.5 * torch.rand(n, generator=generator)).sqrt()
    shift = (1 - side)[:, None] * (2 * torch.rand(n, 2, generator=generator) - 1)
    flip = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    frame = torch.zeros(n, 2, 3)
    frame[:, 0, 0], frame[:, 1, 1], frame[:, :, 2] = side * flip, side, shift
    grid = F.affine_grid(frame.to(device), list(x.shape), align_corners=False)
    x = F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    factor = 1 + colour * (2 * torch.rand(3, n, 1, 1, 1, generator=generator) - 1)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * factor[0]
    mean = x.mean((1, 2, 3), keepdim=True)
    return ((mean + (x - mean) * factor[1]) * factor[2]).clamp(0, 1)


def contrastive(z: torch.Tensor, temperature: float) -> torch.Tensor:
    """NT-Xent of projections (2n, d), whose row i and row i + n are views of one image."""
    z, n = F.normalize(z, dim=1), len(z) // 2
    logits = (z @ z.T / temperature).fill_diagonal_(float("-inf"))
    return F.cross_entropy(logits, (torch.arange(2 * n) + n) % (2 * n))


def write_config(network: Any) -> None:
    """Write what timm reads beside the weights of a local folder."""
    kept = {key: network.pretrained_cfg[key] for key in ("mean", "std", "interpolation", "classifier")}
    about = {
        "architecture": tiny.BACKBONE_MODEL,
        "num_classes": 0,
        "num_features": network.num_features,
        "model_args": tiny.BACKBONE_ARGS,
        "pretrained_cfg": {**kept, "input_size": [3, tiny.SIZE, tiny.SIZE], "crop_pct": 1.0},
    }
    (tiny.BACKBONE / "config.json").write_text(json.dumps(about, indent=1) + "\n")


def train_backbone(training: Training) -> None:
    """Train, and write the backbone without its projection head, in half precision."""
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(SEED + 3)
    cfg = training.settings
    network = (
        timm.create_model(tiny.BACKBONE_MODEL, num_classes=0, **tiny.BACKBONE_ARGS)
        .to(memory_format=torch.channels_last)
        .train()
    )
    width = network.num_features
    head = torch.nn.Sequential(
        torch.nn.Linear(width, width), torch.nn.ReLU(), torch.nn.Linear(width, cfg["projection"])
    )
    mean, std = (torch.tensor(network.pretrained_cfg[k]).view(1, 3, 1, 1) for k in ("mean", "std"))
    pixels = torch.from_numpy(training.corpus.pixels).permute(0, 3, 1, 2)
    weights = [*network.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=cfg["lr"], weight_decay=cfg["weight_decay"])
    generator = torch.Generator().manual_seed(SEED + 3)

    def loss_of(rows: np.ndarray) -> tuple[torch.Tensor, float]:
        x = pixels[torch.from_numpy(rows)].float() / 255
        both = torch.cat([views(x, cfg["colour"], generator) for _ in range(2)])
        features = network(((both - mean) / std).contiguous(memory_format=torch.channels_last))
        loss = contrastive(head(features), cfg["temperature"])
        return loss, loss.item()

    changing = [*network.state_dict().values(), *head.state_dict().values()]
    losses = fit(training, changing, optimizer, generator, SEED + 3, loss_of)
    stored = {
        name: x.half() if x.is_floating_point() else x
        for name, x in network.eval().to(memory_format=torch.contiguous_format).state_dict().items()
    }
    tiny.BACKBONE.mkdir(parents=True, exist_ok=True)
    save_file(stored, tiny.BACKBONE / "model.safetensors")
    write_config(network)
    write_record(training, loss=float(np.mean(losses[-100:])))
