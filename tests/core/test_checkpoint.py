"""A training loop's state: every kind of optimizer and every stream of chance goes on where it was."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from fairgen.core.batches import Batches
from fairgen.core.checkpoint import TrainingState, placed
from fairgen.core.workfolder import Resume, WorkFolder, digest


class Compact(torch.optim.Optimizer):
    """Momentum in 8 bits, with the oddities of bitsandbytes' state: an integer count, bytes, and one map for
    all weights.
    """

    levels = torch.linspace(-1, 1, 256)

    def __init__(self, weights: list[torch.nn.Parameter], lr: float):
        super().__init__(weights, {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:
        """Move along the rounded mean of the gradients."""
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                old = state["levels"][state["bytes"].int()] * state["scale"] if state else torch.zeros_like(p)
                new = 0.9 * old + p.grad
                scale = new.abs().amax().reshape(1)
                found = ((new / scale + 1) * 127.5).round().to(torch.uint8)
                self.state[p] = {
                    "step": state.get("step", 0) + 1,
                    "bytes": found,
                    "scale": scale,
                    "levels": self.levels,
                }
                p -= group["lr"] / self.state[p]["step"] * new


def begun(kind: Callable[..., torch.optim.Optimizer]) -> TrainingState:
    """A loop before its first step."""
    generator = torch.Generator().manual_seed(0)
    weights = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((80, 80), (3,))]
    optimizer = kind(weights, lr=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
    tied = weights[:1]  # stands in the network in a second place
    return TrainingState(
        {"weights": weights, "tied": tied}, optimizer, schedule, generator, [Batches(5, 2, generator)]
    )


def advance(training: TrainingState, steps: int) -> list[torch.Tensor]:
    """Take some steps down the squares of the weights with noise from every stream."""
    for _ in range(steps):
        noise = (
            torch.randn(1, generator=training.generator)
            + torch.randn(1)
            + next(training.streams[0]).float().mean()
        )
        loss = sum((weight * noise).square().sum() for weight in training.tensors["weights"])
        training.optimizer.zero_grad()
        loss.backward()
        training.optimizer.step()
        training.schedule.step()
        training.step += 1
    return training.tensors["weights"]


def opened(folder: Path) -> WorkFolder:
    work = WorkFolder(folder / "a", {})
    work.lock(print)
    work.seconds = 0
    return work


@pytest.mark.parametrize("name", ["AdamW", "fused AdamW", "Compact", "AdamW8bit"])
def test_a_resumed_optimizer_goes_on_where_it_was(name: str, tmp_path: Path) -> None:
    if name == "AdamW8bit":
        kind = pytest.importorskip("bitsandbytes").optim.AdamW8bit
    else:
        kind = {
            "AdamW": torch.optim.AdamW,
            "fused AdamW": partial(torch.optim.AdamW, fused=True),
            "Compact": Compact,
        }[name]
    torch.manual_seed(0)
    wanted = advance(begun(kind), 6)
    torch.manual_seed(0)
    first, work = begun(kind), opened(tmp_path)
    work.begin({})
    advance(first, 3)
    first.save(work)
    work._lock.close()
    torch.manual_seed(1)
    second = begun(kind)
    second.resume(Resume(opened(tmp_path), {}))
    assert second.step == 3
    assert all(torch.equal(x, y) for x, y in zip(advance(second, 3), wanted, strict=True))


def test_a_fused_optimizer_counts_beside_its_weights() -> None:
    weight, count = torch.empty(3, device="meta"), torch.tensor(1.0)
    assert placed(weight, count, fused=True).device.type == "meta"
    assert placed(weight, count).device.type == "cpu"


def test_chance_on_the_gpu_goes_on_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = [torch.arange(16, dtype=torch.uint8)]
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: states[0])
    monkeypatch.setattr(torch.cuda, "set_rng_state", states.append)
    work = opened(tmp_path)
    work.begin({})
    begun(torch.optim.AdamW).save(work)
    work._lock.close()
    begun(torch.optim.AdamW).resume(Resume(opened(tmp_path), {}))
    assert torch.equal(states[1], states[0])


def test_saved_files_keep_their_order_and_digests_their_parts(tmp_path: Path) -> None:
    kept = WorkFolder(tmp_path / "a", {})
    kept.lock(print)
    kept.begin({})
    kept.save("one", lambda path: path.write_text("1"), {"images": 1})
    kept.save("two", lambda path: path.write_text("2"), {"images": 2}, keep=kept.files)
    assert [path.read_text() for path in kept.paths()] == ["1", "2"]
    kept.close(done=True)
    assert digest(b"ab", b"c") != digest(b"a", b"bc")


def test_what_waits_for_a_job_of_other_inputs_is_removed(tmp_path: Path) -> None:
    kept = WorkFolder(tmp_path / "a", {})
    kept.lock(print)
    (kept.fresh() / "out").write_text("x")
    kept.finish({"out": kept.folder / "new/out"}, {"hash": "1"})
    assert kept.finished({"hash": "2"}) == {}
    assert kept.begin({}) == ""
    kept.close(done=True)
