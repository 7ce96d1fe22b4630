"""Labelled images as the classifier sees them: real ones of the split, and selected synthetic ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairgen import images, selection
from fairgen.models.classifier import to_pixels


@dataclass(frozen=True)
class Rows:
    """Images (n, 3, h, w) uint8 with class numbers (n,) and group numbers (n,)."""

    pixels: torch.Tensor
    target: torch.Tensor
    group: torch.Tensor

    def __len__(self) -> int:
        return len(self.target)

    def content(self) -> list[np.ndarray]:
        """All of it as contiguous arrays, for a hash."""
        return [np.ascontiguousarray(x.numpy()) for x in (self.pixels.permute(0, 2, 3, 1), self.target, self.group)]

    def take(self, index: torch.Tensor) -> "Rows":
        """The rows of some numbers (m,), which may repeat, or of a mask (n,)."""
        return Rows(self.pixels[index], self.target[index], self.group[index])

    def join(self, other: "Rows") -> "Rows":
        """These rows, then the other ones."""
        pairs = ((self.pixels, other.pixels), (self.target, other.target), (self.group, other.group))
        return Rows(*(torch.cat(pair) for pair in pairs))


@dataclass(frozen=True)
class Labels:
    """Numbers of the groups, in the config's order, and of each group's class."""

    classes: list[str]
    targets: dict[str, str]  # group → class
    groups: list[str]

    def rows(self, pixels: torch.Tensor, groups: Sequence[str]) -> Rows:
        """Images with the labels of their groups."""
        number = {name: i for i, name in enumerate(self.groups)}
        target = {name: self.classes.index(self.targets[name]) for name in self.groups}
        return Rows(pixels, torch.tensor([target[g] for g in groups]), torch.tensor([number[g] for g in groups]))


def real(rows: list[dict[str, Any]], root: Path, resolution: int, labels: Labels) -> Rows:
    """Images and labels of some rows of the split."""
    return labels.rows(to_pixels(images.load(root, [r["path"] for r in rows], resolution)), [r["group"] for r in rows])


def synthetic(path: Path, resolution: int, labels: Labels) -> Rows:
    """The images of a selection that the filter kept, file by file."""
    kept = selection.read(path)
    pixels = [to_pixels(images.load_column(own.file, resolution, own.rows)) for own in kept.values()]
    return labels.rows(torch.cat(pixels), [group for group, own in kept.items() for _ in own.rows])
