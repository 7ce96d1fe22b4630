"""Batches that are prepared while the step before them is computed.

A step on a GPU is launched and runs by itself; until its losses are waited for, the CPU draws rows, noise and
time steps of the next one, into memory that the GPU copies from by itself.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from fairgen.core import devices
from fairgen.core.batches import Batches, Generators
from fairgen.generate.denoising import Noised


class Prefetch:
    """The batches of every step.

    Args:
        draw: the batches of the next step.
        generator: where their chance comes from.
        streams: where their row numbers come from.
    """

    def __init__(
        self,
        draw: Callable[[], list[Noised]],
        generator: torch.Generator | Generators,
        streams: Sequence[Batches],
    ):
        self.draw, self.generator, self.streams = draw, generator, streams
        self.ready: list[Noised] | None = None
        self.before = self._state()  # of chance, before what is ready was drawn

    def take(self) -> list[Noised]:
        """The batches of the next step."""
        found, self.ready = self.ready, None
        return self.draw() if found is None else found

    def prepare(self) -> None:
        """Draw them now."""
        self.before = self._state()
        pinned = devices.current().type == "cuda"
        self.ready = [batch.pinned() if pinned else batch for batch in self.draw()]

    @contextmanager
    def rewound(self) -> Iterator[None]:
        """Have chance for a while as if nothing were ready: a job that goes on from there draws it again."""
        now = self._state()
        if self.ready is not None:
            self._restore(self.before)
        try:
            yield
        finally:
            self._restore(now)

    def _state(self) -> tuple[torch.Tensor, list[torch.Tensor]]:
        return self.generator.get_state(), [stream.waiting for stream in self.streams]

    def _restore(self, state: tuple[torch.Tensor, list[torch.Tensor]]) -> None:
        self.generator.set_state(state[0])
        for stream, waiting in zip(self.streams, state[1], strict=True):
            stream.waiting = waiting
