"""CUDA graphs: all that a training step computes on the GPU, launched at once.

A step of a few images keeps a large GPU busy for less time than Python takes to launch its thousands of
kernels. A graph records them once and launches them together from then on
(docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs). The kernels are the same, and so are the numbers.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from fairgen.core import devices, job
from fairgen.core.errors import shortened
from fairgen.generate.denoising import Noised

# a step's batches to its figures (loss and gradient norm); leaves gradients
Step = Callable[[Sequence[Noised]], torch.Tensor]

# steps before the recording, in which the libraries choose their algorithms and take their memory
WARM_UP = 3


@contextmanager
def on(own: torch.cuda.Stream | None) -> Iterator[None]:
    """Compute on a stream other than the default one, on which nothing can be recorded."""
    outer, own = torch.cuda.current_stream(), own or torch.cuda.Stream()
    own.wait_stream(outer)
    with torch.cuda.stream(own):
        yield
    outer.wait_stream(own)


class Replayed:
    """A step that is recorded after `WARM_UP` calls, and replayed from then on.

    The step must leave its gradients in fresh tensors and read nothing from the CPU but its batches, which
    have the same shapes each time. One that cannot be recorded goes on as it is, with a warning.

    Args:
        step: what is recorded.
        weights: whose gradients it leaves.
        stream: where it is recorded, for all runs: memory that one stream has freed is not another's.
    """

    def __init__(
        self,
        step: Step,
        weights: Sequence[torch.nn.Parameter] = (),
        stream: torch.cuda.Stream | None = None,
    ):
        self.step, self.weights, self.stream, self.calls = step, weights, stream, 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.inputs: list[Noised] = []
        self.figures = torch.empty(0)

    def __call__(self, batches: Sequence[Noised]) -> torch.Tensor:
        """The figures of a step, which the next call overwrites."""
        if self.calls == WARM_UP:
            self._record(batches)
        self.calls += 1
        if self.graph is None:
            return self.step(batches)
        for kept, batch in zip(self.inputs, batches, strict=True):
            kept.copy_(batch)
        self.graph.replay()
        return self.figures

    def _record(self, batches: Sequence[Noised]) -> None:
        if any(batch.text is not None and batch.text.lengths is not None for batch in batches):
            job.log.info("no CUDA graph of a step: this base reads the lengths of captions on the CPU")
            return
        self.inputs, graph = [batch.to(devices.current()) for batch in batches], torch.cuda.CUDAGraph()
        for weight in self.weights:  # those of the step before would lie beside the graph's own
            weight.grad = None
        try:
            with torch.cuda.graph(graph, stream=torch.cuda.current_stream()):
                self.figures = self.step(self.inputs)
            self.graph = graph
        except RuntimeError as error:
            job.log.warning(
                "no CUDA graph of a step (%s); each kernel is launched by itself", shortened(str(error), 160)
            )
