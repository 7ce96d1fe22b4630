"""Work of threads ahead of what it is wanted for, in order: batches that are read while a GPU computes."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from fairgen.core import devices

Item = TypeVar("Item")
Result = TypeVar("Result")


def queued(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int, most: int
) -> Iterator[Result]:
    """What `work` makes of each item, in order; threads do it for up to `most` items after the one that is
    waited for.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def ahead(read: Callable[[Item], Result], batches: Iterable[Item]) -> Iterator[Result]:
    """What `read` makes of each batch, in order; on a GPU a thread reads the next one meanwhile.

    On the CPU there is nothing to wait for: a second thread would take a core that snakemake has given to
    another job.
    """
    if devices.current().type == "cpu":
        return map(read, batches)
    return queued(read, batches, threads=1, most=1)
