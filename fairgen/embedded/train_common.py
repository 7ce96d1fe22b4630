"""What the three parts of the embedded model's pretraining share: drawings, batches, the schedule and the
record.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from fairgen.embedded import tiny
from fairgen.embedded.birds import Drawing, world

SEED, DRAWINGS = 2025, 40_000


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


def write_record(part: str, entry: dict) -> None:
    """Add one part's entry and the hash of every weight file to the record."""
    path = tiny.FOLDER / "record.json"
    new: dict[str, Any] = {"seed": SEED, "world_drawings": DRAWINGS, "parts": {}}
    record = json.loads(path.read_text()) if path.exists() else new
    record["parts"][part] = {**entry, "torch": torch.__version__}
    files = sorted(tiny.FOLDER.rglob("*.safetensors"))
    record["sha256"] = {
        str(f.relative_to(tiny.FOLDER)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files
    }
    path.write_text(json.dumps(record, indent=1) + "\n")
