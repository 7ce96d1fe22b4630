"""What a denoiser reads of the text, whatever the architecture, in rows to be picked, repeated and joined."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch.nn.functional import pad


@dataclass(frozen=True)
class Conditioning:
    """What the denoiser reads beside the latents, row by row.

    `states` (n, length, width) of the text; for some architectures also `pooled` (n, d); for SDXL `time_ids`
    (n, 6): the picture's size, the corner of its crop, and the size wanted (arXiv 2307.01952, section 2.2);
    for Z-Image `lengths` (n,), on the CPU: how many of the states are no padding.
    """

    states: torch.Tensor
    pooled: torch.Tensor | None = None
    time_ids: torch.Tensor | None = None
    lengths: torch.Tensor | None = None

    def __getitem__(self, rows: slice | torch.Tensor) -> "Conditioning":
        """Some of the rows."""
        return self._each(lambda x: x[rows])

    def expand(self, count: int) -> "Conditioning":
        """A single row, `count` times."""
        return self._each(lambda x: x.expand(count, *x.shape[1:]))

    def to(self, place: torch.device, non_blocking: bool = False) -> "Conditioning":
        """The rows on a device, `lengths` where they are."""
        return replace(self._each(lambda x: x.to(place, non_blocking=non_blocking)), lengths=self.lengths)

    def pin_memory(self) -> "Conditioning":
        """The rows in memory that a GPU copies from by itself, unless they are on one."""
        return self._each(lambda x: x.pin_memory() if x.device.type == "cpu" else x)

    def copy_(self, other: "Conditioning", non_blocking: bool = False) -> None:
        """Take over as many other rows, in place."""
        for own, x in zip(vars(self).values(), vars(other).values(), strict=True):
            if own is not None:
                own.copy_(x, non_blocking=non_blocking)

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "Conditioning":
        return Conditioning(*(None if x is None else change(x) for x in vars(self).values()))


def joined(parts: Sequence[Conditioning]) -> Conditioning:
    """The rows of several conditionings of one base, one after the other, all as long as the longest."""
    longest = max(part.states.shape[1] for part in parts)
    parts = [
        replace(part, states=pad(part.states, (0, 0, 0, longest - part.states.shape[1]))) for part in parts
    ]
    fields = zip(*(vars(part).values() for part in parts), strict=True)
    return Conditioning(*(None if rows[0] is None else torch.cat(rows) for rows in fields))
