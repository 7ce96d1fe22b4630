"""Labelled images as the classifier sees them: real ones of the split, and selected synthetic ones.

Images are indexed like a tensor (n, 3, h, w) uint8, by a slice, row numbers or a mask, and only what is
indexed is read: a batch, never all. Rows that are taken, repeated or joined are numbers of images; no pixel
is copied for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from fairgen.core import images
from fairgen.data.pixels import Pixels
from fairgen.generate import selection
from fairgen.models.classifier import to_pixels

Index: TypeAlias = torch.Tensor | slice


@dataclass(frozen=True)
class Stored:
    """The images of a file of pixels."""

    file: Pixels

    def __len__(self) -> int:
        return len(self.file.images)

    def __getitem__(self, index: Index) -> torch.Tensor:
        return to_pixels(self.file.images[numbers(index, len(self)).numpy()])

    def content(self) -> list[np.ndarray]:
        """The file's hash, which stands for its pixels."""
        return [np.frombuffer(self.file.content.encode(), dtype=np.uint8)]


@dataclass(frozen=True)
class View:
    """Some images of a source, by their numbers (n,), which may repeat."""

    source: "Images"
    chosen: torch.Tensor

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: Index) -> torch.Tensor:
        return self.source[self.chosen[index]]

    def content(self) -> list[np.ndarray]:
        """The source, and what is chosen of it."""
        return [*content(self.source), self.chosen.numpy()]


@dataclass(frozen=True)
class Joined:
    """The images of two sources, one after the other."""

    one: "Images"
    other: "Images"

    def __len__(self) -> int:
        return len(self.one) + len(self.other)

    def __getitem__(self, index: Index) -> torch.Tensor:
        wanted = numbers(index, len(self))
        first = wanted < len(self.one)
        found = torch.cat([self.one[wanted[first]], self.other[wanted[~first] - len(self.one)]])
        return found[torch.cat([torch.nonzero(first), torch.nonzero(~first)]).flatten().argsort()]

    def content(self) -> list[np.ndarray]:
        """Both."""
        return content(self.one) + content(self.other)


Images: TypeAlias = torch.Tensor | Stored | View | Joined


def numbers(index: Index, count: int) -> torch.Tensor:
    """Row numbers of a slice of `count` rows, of row numbers, or of a mask."""
    if isinstance(index, slice):
        return torch.arange(*index.indices(count))
    return torch.nonzero(index).flatten() if index.dtype == torch.bool else index


def content(pixels: Images) -> list[np.ndarray]:
    """What images are, as contiguous arrays for a hash."""
    return (
        [np.ascontiguousarray(pixels.permute(0, 2, 3, 1))]
        if isinstance(pixels, torch.Tensor)
        else pixels.content()
    )


@dataclass(frozen=True)
class Examples:
    """Images with class numbers (n,) and group numbers (n,)."""

    pixels: Images
    target: torch.Tensor
    group: torch.Tensor

    def __len__(self) -> int:
        return len(self.target)

    def content(self) -> list[np.ndarray]:
        """All of it as contiguous arrays, for a hash."""
        return [*content(self.pixels), self.target.numpy(), self.group.numpy()]

    def take(self, index: torch.Tensor) -> "Examples":
        """The rows of some numbers (m,), which may repeat, or of a mask (n,)."""
        return Examples(View(self.pixels, numbers(index, len(self))), self.target[index], self.group[index])

    def join(self, other: "Examples") -> "Examples":
        """These rows, then the other ones."""
        pairs = ((self.target, other.target), (self.group, other.group))
        return Examples(Joined(self.pixels, other.pixels), *(torch.cat(pair) for pair in pairs))


@dataclass(frozen=True)
class ClassIndex:
    """Numbers of the groups, in the config's order, and of each group's class."""

    classes: list[str]
    targets: dict[str, str]  # group → class
    groups: list[str]

    def rows(self, pixels: Images, groups: Sequence[str]) -> Examples:
        """Images with the labels of their groups."""
        number = {name: i for i, name in enumerate(self.groups)}
        target = {name: self.classes.index(self.targets[name]) for name in self.groups}
        return Examples(
            pixels, torch.tensor([target[g] for g in groups]), torch.tensor([number[g] for g in groups])
        )


def real(rows: list[dict[str, Any]], file: Pixels, labels: ClassIndex) -> Examples:
    """Images and labels of some rows of the split, or of the index, by their ids."""
    chosen = torch.from_numpy(file.numbers([r["id"] for r in rows]))
    return labels.rows(View(Stored(file), chosen), [r["group"] for r in rows])


def synthetic(path: Path, resolution: int, labels: ClassIndex) -> Examples:
    """The images of a selection that the filter kept, file by file, decoded into memory."""
    kept, start = selection.read(path), 0
    pixels = np.empty(
        (sum(len(own.rows) for own in kept.values()), resolution, resolution, 3), dtype=np.uint8
    )
    for own in kept.values():
        images.load_column(own.file, resolution, own.rows, pixels[start : start + len(own.rows)])
        start += len(own.rows)
    return labels.rows(to_pixels(pixels), [group for group, own in kept.items() for _ in own.rows])
