"""Work behind the main thread: in order, one piece at a time, errors told, ended before its block is left."""

import threading

import pytest

from fairgen.core.behind import Behind


def test_pieces_are_done_in_order_by_another_thread() -> None:
    done: list[tuple[int, bool]] = []
    with Behind() as behind:
        for number in range(5):
            behind.do(
                lambda n=number: done.append((n, threading.current_thread() is threading.main_thread()))
            )
            assert len(done) >= number  # the pieces before have ended
    assert done == [(number, False) for number in range(5)]


def test_the_block_goes_on_meanwhile_and_waits_at_its_end() -> None:
    go, done = threading.Event(), []
    with Behind() as behind:
        behind.do(lambda: (go.wait(10), done.append(1)))
        assert not done
        go.set()
    assert done == [1]


def test_errors_are_told_at_the_next_piece_or_at_the_end() -> None:
    with pytest.raises(ZeroDivisionError), Behind() as behind:
        behind.do(lambda: 1 / 0)
    reached = []
    with pytest.raises(ZeroDivisionError), Behind() as behind:
        behind.do(lambda: 1 / 0)
        behind.do(lambda: reached.append(1))
    assert not reached
    with pytest.raises(KeyError), Behind() as behind:  # what the block itself raises comes first
        behind.do(lambda: 1 / 0)
        raise KeyError
