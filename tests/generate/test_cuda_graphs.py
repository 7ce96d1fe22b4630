"""What surrounds a CUDA graph, with a recorder in its place; tests/system/test_gpu.py has real ones."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from fairgen.generate import cuda_graphs
from fairgen.generate.denoising import Noised

STEPS = 6


def batch(value: float) -> Noised:
    return Noised(*(torch.full((2,), value) for _ in range(5)))


def work(batches: list[Noised]) -> torch.Tensor:
    """Twelve times the value of batches `batch(v)` and `batch(2 · v)`."""
    return sum(b.latents.sum() + b.weight.sum() for b in batches)


def replayed(monkeypatch: pytest.MonkeyPatch, work: Callable) -> tuple[cuda_graphs.Replayed, list[str]]:
    """A step and a list of what becomes of it; a replay does again what was recorded, on the recorded
    tensors.
    """
    happened: list[str] = []

    def step(batches: list[Noised]) -> torch.Tensor:
        happened.append("step")
        return work(batches)

    found = cuda_graphs.Replayed(step)

    def replay() -> None:
        happened.append("replay")
        found.figures.copy_(work(found.inputs))

    @contextmanager
    def record(graph: object, stream: object) -> Iterator[None]:
        happened.append("record")
        yield

    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: SimpleNamespace(replay=replay))
    monkeypatch.setattr(torch.cuda, "graph", record)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: None)
    return found, happened


def test_a_step_is_recorded_once_and_then_replayed_on_new_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    step, happened = replayed(monkeypatch, work)
    assert [step([batch(i), batch(2 * i)]).item() for i in range(STEPS)] == [12 * i for i in range(STEPS)]
    after = STEPS - cuda_graphs.WARM_UP
    assert happened == ["step"] * cuda_graphs.WARM_UP + ["record", "step"] + ["replay"] * after


def test_what_cannot_be_recorded_is_computed_as_before(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unwilling(batches: list[Noised]) -> torch.Tensor:
        if happened[-2:] == ["record", "step"]:
            raise RuntimeError("operation not permitted when stream is capturing")
        return work(batches)

    step, happened = replayed(monkeypatch, unwilling)
    assert [step([batch(i), batch(2 * i)]).item() for i in range(STEPS)] == [12 * i for i in range(STEPS)]
    assert happened.count("record") == 1
    assert "replay" not in happened
    assert "operation not permitted when stream is capturing" in caplog.text


def test_no_gradient_lies_beside_the_graphs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a step is recorded, those of the step before would take as much memory again."""
    weight, seen = torch.nn.Parameter(torch.ones(1)), []

    def step(batches: list[Noised]) -> torch.Tensor:
        weight.grad = torch.ones(1)
        return work(batches)

    @contextmanager
    def record(graph: object, stream: object) -> Iterator[None]:
        seen.append(weight.grad)
        yield

    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: SimpleNamespace(replay=lambda: None))
    monkeypatch.setattr(torch.cuda, "graph", record)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: None)
    recorded = cuda_graphs.Replayed(step, [weight])
    for i in range(STEPS):
        recorded([batch(i)])
    assert seen == [None]
