"""Batches as large as memory allows: sizes, and a job that goes on with the size that it began with."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
import torch

from fairgen.core.workfolder import Resume, WorkFolder
from fairgen.generate import batch_size, resumable
from fairgen.generate.sample import Sample, Source, rows
from fairgen.generate.solver import Solver
from fairgen.models import base_model, diffusion

GIB = 1 << 30


def test_batches_fit_and_are_alike() -> None:
    assert batch_size.fitting(GIB, 10 * GIB, 100) == 8  # 0.8 of the memory, 13 batches
    assert batch_size.fitting(GIB, 10 * GIB, 9) == 5  # two batches
    assert batch_size.fitting(GIB, 10 * GIB, 3) == 3
    assert batch_size.fitting(10 * GIB, GIB, 100) == 1
    assert batch_size.fitting(1, 10 * GIB, 400) == 58  # seven batches
    assert batch_size.fitting(0, GIB, 64) == batch_size.MOST
    # the autoencoder takes eight at once, or as many as it has room for
    assert batch_size.fitting(GIB, 20 * GIB, 100, GIB, 8) == 15
    assert batch_size.fitting(GIB // 4, 5 * GIB, 100, GIB, 8) == 4
    assert batch_size.fitting(GIB // 4, 5 * GIB, 100, 9 * GIB, 2) == 1


@pytest.fixture
def card(base: base_model.Base, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Asks for the size on a card of this free memory, where images take so much (nothing is computed); the
    counts that were tried are kept.
    """
    tried: list[tuple[str, int]] = []
    vae = diffusion.load_vae(base)
    monkeypatch.setattr(batch_size, "peak", lambda work: work())

    def ask(free: int, drawing: int, decoding: int) -> int:
        tried.clear()

        def of(what: str, each: int, images: torch.Tensor) -> int:
            tried.append((what, len(images)))
            if each * len(images) > free:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return 7 + each * len(images)

        monkeypatch.setattr(batch_size, "denoise", lambda unet, run, x, *rest: of("draw", drawing, x))
        monkeypatch.setattr(batch_size.autoencoder, "decode", lambda vae, x: of("decode", decoding, x))
        for name, value in (("mem_get_info", (free, 0)), ("memory_reserved", 5), ("memory_allocated", 5)):
            monkeypatch.setattr(torch.cuda, name, lambda value=value: value)
        device = SimpleNamespace(type="cuda")
        unet = SimpleNamespace(device=device, config=SimpleNamespace(in_channels=4))
        solver = Solver("dpmsolver++", 9, 2.0, "", 0, guidance_interval=(0.9, 1))
        monkeypatch.setattr(torch.Tensor, "to", lambda self, *rest, **more: self)
        return batch_size.measured(unet, vae, base, None, solver, 1000)

    ask.tried = tried
    return ask


def test_what_does_not_fit_is_not_tried_again(card: Callable[..., int]) -> None:
    """The autoencoder's pictures count too, and a card that holds one image draws one by one."""
    assert card(100, 1, 0) == batch_size.fitting(1, 100, 1000) > 50
    assert card(100, 10, 0) == 8
    assert card(100, 10, 20) == 4  # 80 for the autoencoder
    assert card(100, 60, 1) == 1
    assert card.tried[-1] == ("draw", batch_size.MORE)
    assert card(100, 1, 60) == 1


def test_a_job_goes_on_with_the_size_that_it_began_with(
    base: base_model.Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict, sizes = diffusion.predict, []
    monkeypatch.setattr(
        diffusion, "predict", lambda unet, x, *rest: (sizes.append(len(x)), predict(unet, x, *rest))[1]
    )
    solver = Solver("dpmsolver++", 1, 1.0, "", 0)
    settings = Sample(12, 1, 0, solver, "V", base, {"g": "a duck on lake"}, {"g": None})
    chosen, notes = [Source(None, 0, 10), Source(None, 1, 2)], {}
    whole = list(rows(settings, "g", chosen, False, "base", 0, notes))
    assert (notes, sizes) == ({"batch": batch_size.ON_CPU}, [8, 2, 2])
    sizes.clear()
    notes["batch"] = 3
    rest = list(rows(settings, "g", chosen, False, "base", 7, notes))
    assert sizes == [3, 1, 2]
    assert [row for _, row in rest] == [row for _, row in whole[7:]]


def test_notes_outlive_a_killed_job(tmp_path: Path) -> None:
    seen = []

    def make(skip: int, notes: dict[str, Any]) -> Iterator[resumable.Row]:
        seen.append((skip, dict(notes)))
        notes["batch"] = 5
        for number in range(skip, 6):
            yield b"", {"number": number}

    fields = {"number": pa.int64()}
    for asked in (3, None):
        work = WorkFolder(tmp_path / "a.parquet", {})
        work.lock(print)
        work.seconds = 0
        found = list(islice(resumable.resumed(Resume(work, {}), fields, make), asked))
        work.close(asked is None)
    assert seen == [(0, {}), (2, {"batch": 5})]
    assert [row["number"] for _, row in found] == list(range(6))
