"""Batches as large as memory allows: sizes, and a job that goes on with the size that it began with."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

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
