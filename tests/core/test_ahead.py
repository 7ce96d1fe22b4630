"""Batches that are read while a GPU computes: in order, one ahead at most, and never on the CPU."""

import threading
from types import SimpleNamespace

import pytest

from fairgen.core import devices
from fairgen.core.ahead import ahead


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that computes on a GPU, as far as reading is concerned."""
    monkeypatch.setattr(devices, "current", lambda: SimpleNamespace(type="cuda"))


def test_the_next_batch_is_read_meanwhile_and_no_further(on_gpu: None) -> None:
    begun, second = [], threading.Event()

    def read(number: int) -> int:
        begun.append(number)
        if number == 1:
            second.set()
        return 10 * number

    found = ahead(read, range(4))
    assert next(found) == 0
    assert second.wait(10)  # without being asked for
    assert begun == [0, 1]
    assert list(found) == [10, 20, 30]


def test_what_fails_fails_in_its_place(on_gpu: None) -> None:
    found = ahead(lambda number: 6 // (2 - number), range(4))
    assert [next(found), next(found)] == [3, 6]
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_on_the_cpu_nothing_is_read_before_it_is_asked_for() -> None:
    threads = []
    found = ahead(lambda number: threads.append(threading.current_thread()) or number, range(3))
    assert (next(found), len(threads)) == (0, 1)
    assert list(found) == [1, 2]
    assert set(threads) == {threading.main_thread()}
