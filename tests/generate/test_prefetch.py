"""Batches that are prepared ahead: the same as without, and chance as a checkpoint wants it."""

import numpy as np
import pytest
import torch
from adapting import adapt_settings, changed

from fairgen.core.batches import Batches
from fairgen.embedded import birds
from fairgen.generate import training
from fairgen.generate.denoising import Noised
from fairgen.generate.prefetch import Prefetch
from fairgen.models import base_model, lora


def numbers(seed: int) -> tuple[Prefetch, torch.Generator, Batches]:
    """Batches of row numbers and noise."""
    generator = torch.Generator().manual_seed(seed)
    stream = Batches(5, 2, generator)

    def draw() -> list[Noised]:
        rows = next(stream).float()
        return [Noised(rows, rows, rows, torch.randn(2, generator=generator), rows)]

    return Prefetch(draw, generator, [stream]), generator, stream


def taken(prefetch: Prefetch, count: int, prepares: bool) -> list[float]:
    """What is in so many batches."""
    found = []
    for _ in range(count):
        found += [x for batch in prefetch.take() for x in (*batch.latents.tolist(), *batch.target.tolist())]
        if prepares:
            prefetch.prepare()
    return found


def test_a_checkpoint_has_the_chance_of_the_next_step() -> None:
    (prefetch, generator, stream), (plain, *_) = numbers(3), numbers(3)
    expected = taken(plain, 9, prepares=False)
    assert taken(prefetch, 4, prepares=True) == expected[:16]
    with prefetch.rewound():
        state, waiting = generator.get_state(), stream.waiting
    assert taken(prefetch, 1, prepares=False) == expected[16:20]  # what was ready is still there
    again, own, rows = numbers(0)
    own.set_state(state)
    rows.waiting = waiting
    assert taken(again, 5, prepares=True) == expected[16:]


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_a_training_is_the_same_without(
    base: base_model.Base, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    pixels = np.stack([birds.users(5, "train", "landbird", "land", i).pixels for i in range(4)])
    settings = changed(adapt_settings(kind, base), steps=3, accumulate=2)
    given = settings, base, ("a landbird on land V", pixels), [("a landbird on land", pixels)], "g/0"
    prefetched, found = training.train(*given)
    monkeypatch.setattr(Prefetch, "prepare", lambda self: None)
    plain, others = training.train(*given)
    assert found == others
    states = [lora.lora_state(x) if kind == "lora" else x.state_dict() for x in (prefetched, plain)]
    assert all(torch.equal(x, states[1][name]) for name, x in states[0].items())
