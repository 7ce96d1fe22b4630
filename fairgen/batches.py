"""Endless batches of row numbers, with a state that a checkpoint can hold."""

import torch


class Batches:
    """Each row once before any row again; `waiting` is the whole state besides the generator's."""

    def __init__(self, count: int, size: int, generator: torch.Generator):
        self.count, self.size, self.generator = count, size, generator
        self.waiting = torch.empty(0, dtype=torch.long)

    def __iter__(self) -> "Batches":
        return self

    def __next__(self) -> torch.Tensor:
        """The next `size` row numbers."""
        while len(self.waiting) < self.size:
            self.waiting = torch.cat([self.waiting, torch.randperm(self.count, generator=self.generator)])
        batch, self.waiting = self.waiting[: self.size], self.waiting[self.size :]
        return batch
