"""Batches of images that are read while the GPU computes on those before."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from fairgen.core import devices

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(read: Callable[[Item], Result], batches: Iterable[Item]) -> Iterator[Result]:
    """What `read` makes of each batch, in order; on a GPU a thread reads the next one meanwhile.

    On the CPU there is nothing to wait for: a second thread would take a core that snakemake has given to
    another job.
    """
    if devices.current().type == "cpu":
        yield from map(read, batches)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(1) as pool:
        for batch in batches:
            waiting.append(pool.submit(read, batch))
            if len(waiting) > 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
