"""What the parts of an embedded model's pretraining share: the loop with its batches, schedule and
checkpoints, views of pictures, and the record.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from tqdm import tqdm

from fairgen.core.checkpoint import TrainingState
from fairgen.core.workfolder import Resume, WorkFolder
from fairgen.embedded import tiny
from fairgen.embedded.corpus import Corpus

SEED = 2025


@dataclass(frozen=True)
class Training:
    """The training of one part: on what, how, and where its checkpoints lie."""

    part: str
    corpus: Corpus
    settings: dict[str, Any]  # steps, batch, lr, …
    work: WorkFolder


def fit(
    training: Training,
    tensors: list[torch.Tensor],
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    order: int,
    losses: Callable[[np.ndarray], tuple[torch.Tensor, float]],
    after: Callable[[int], object] = lambda step: None,
) -> list[float]:
    """Train by the settings' `steps`, `batch` and `lr`, or go on where an interrupted call has stopped.

    Args:
        training: whose settings are followed.
        tensors: all that changes with the steps, besides the optimizer's state.
        optimizer: of the weights that learn.
        generator: what `losses` draws from, besides torch's own.
        order: seed of the order of the pictures.
        losses: loss of some rows of the corpus, and the figure that is kept of the step.
        after: called after each step, with the number of steps so far.

    Returns:
        The figure of each step.
    """
    cfg = training.settings
    schedule = one_cycle(optimizer, cfg["lr"], cfg["steps"])
    state = TrainingState({"state": tensors}, optimizer, schedule, generator, [])
    state.resume(Resume(training.work, training.corpus.hashes()))
    if state.step:  # the schedule moves Adam's first moment too, which no checkpoint holds
        schedule.last_epoch -= 1
        schedule.step()
    rows = batches(len(training.corpus.pixels), cfg["batch"], cfg["steps"], np.random.default_rng(order))
    with tqdm(total=cfg["steps"], initial=state.step, desc=training.part, mininterval=5) as bar:
        for chosen in islice(rows, state.step, None):
            loss, figure = losses(chosen)
            update(loss, optimizer, schedule)
            state.step += 1
            state.losses.append(figure)
            after(state.step)
            bar.update()
            if state.step % 100 == 0:
                bar.set_postfix(mean=round(float(np.mean(state.losses[-100:])), 4))
            state.save(training.work)
    return state.losses


def to_tensor(images: np.ndarray) -> torch.Tensor:
    """(n, h, w, 3) uint8 to (n, 3, h, w) float32 in [-1, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1


def colour_shift(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Another colour space for each image (n, 3, h, w) in [-1, 1]: mixed channels, shifted, lighter or
    darker, some of them negatives; with coarse and fine noise, and mirrored or not.

    What learns from it reads shapes in styles that it never saw.
    """
    n = x.shape[0]
    negative = torch.rand(n, 1, 1, 1, generator=generator) < 0.15
    x = torch.where(negative, -x, x)
    mixing = torch.eye(3) + 0.18 * torch.randn(n, 3, 3, generator=generator)
    x = torch.einsum("nij,njhw->nihw", mixing, x) + 0.15 * torch.randn(n, 3, 1, 1, generator=generator)
    x = (x + 1) * (0.5 + 0.7 * torch.rand(n, 1, 1, 1, generator=generator)) - 1
    coarse = torch.randn(n, 1, 8, 8, generator=generator) * 0.12 * torch.rand(n, 1, 1, 1, generator=generator)
    x = x + F.interpolate(coarse, size=x.shape[-2:], mode="bilinear")
    x = x + 0.06 * torch.rand(n, 1, 1, 1, generator=generator) * torch.randn(x.shape, generator=generator)
    flip = torch.rand(n, generator=generator) < 0.5
    return torch.where(flip[:, None, None, None], x.flip(-1), x).clamp(-1, 1)


def reframed(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each image (n, 3, h, w) in [-1, 1] from nearer or farther, off its centre, with mirrored borders; paler
    or with less contrast; some with noise in blocks of two pixels.

    What learns from it reads small shapes in haze and grain.
    """
    n = len(x)
    zoom = 0.85 + 0.75 * torch.rand(n, generator=generator)
    frame = torch.zeros(n, 2, 3)
    frame[:, 0, 0], frame[:, 1, 1] = zoom, zoom
    frame[:, :, 2] = 0.3 * (2 * torch.rand(n, 2, generator=generator) - 1)
    grid = F.affine_grid(frame, list(x.shape), align_corners=False)
    x = F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    contrast = 0.35 + 0.65 * torch.rand(n, 1, 1, 1, generator=generator)
    level = 1.2 * torch.rand(n, 3, 1, 1, generator=generator) - 0.4
    hazy = torch.rand(n, 1, 1, 1, generator=generator) < 0.5
    x = torch.where(hazy, level + contrast * (x - level), x)
    grain = torch.randn(n, 1, x.shape[2] // 2, x.shape[3] // 2, generator=generator)
    strength = 0.2 * torch.rand(n, 1, 1, 1, generator=generator).square()
    return (x + strength * F.interpolate(grain, scale_factor=2.0)).clamp(-1, 1)


def batches(count: int, size: int, steps: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield `steps` index batches, each row once before any row again."""
    order = np.empty(0, dtype=int)
    for _ in range(steps):
        if len(order) < size:
            order = np.concatenate([order, rng.permutation(count)])
        yield order[:size]
        order = order[size:]


def one_cycle(
    optimizer: torch.optim.Optimizer, lr: float, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Warm-up over 5 % of the steps, then cosine to zero."""
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps, pct_start=0.05)


def update(
    loss: torch.Tensor, optimizer: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler
) -> None:
    """One step down the loss, with the gradient's norm clipped to one."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], 1.0)
    optimizer.step()
    schedule.step()


def read_record() -> dict[str, Any]:
    """The record in the folder of the weights, {} if there is none."""
    path = tiny.FOLDER / "record.json"
    return json.loads(path.read_text()) if path.exists() else {}


def write_record(training: Training, **figures: float) -> None:
    """Add one part's settings and figures, and the hash of every weight file, to the record."""
    path = tiny.FOLDER / "record.json"
    record = read_record() or {"seed": SEED, **training.corpus.about, "parts": {}}
    record["parts"][training.part] = {**training.settings, **figures, "torch": torch.__version__}
    files = sorted(f for f in tiny.FOLDER.rglob("*.safetensors") if training.work.folder not in f.parents)
    record["sha256"] = {
        str(f.relative_to(tiny.FOLDER)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files
    }
    path.write_text(json.dumps(record, indent=1) + "\n")
