"""Endless batches of row numbers, and random generators, with states that a checkpoint can hold."""

from collections.abc import Sequence

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


class Generators:
    """The states of several random generators as one tensor."""

    def __init__(self, generators: Sequence[torch.Generator]):
        self.generators = generators

    def get_state(self) -> torch.Tensor:
        """One row per generator."""
        return torch.stack([generator.get_state() for generator in self.generators])

    def set_state(self, states: torch.Tensor) -> None:
        """Put each generator into the state of its row."""
        for generator, state in zip(self.generators, states, strict=True):
            generator.set_state(state.clone())  # it reads the start of the memory that a row is part of
