"""Work that a thread does behind the main one, in order: writing, while the next images are drawn."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType


class Behind:
    """One thread with one piece of work; the next piece waits for its end. A context manager, whose end waits
    for the last one.
    """

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(1)
        self.last: Future[object] | None = None

    def __enter__(self) -> "Behind":
        return self

    def wait(self) -> None:
        """Wait for the piece of work that is being done, and raise what it has raised."""
        last, self.last = self.last, None
        if last is not None:
            last.result()

    def do(self, work: Callable[[], object]) -> None:
        """Begin a piece of work when the one before is done."""
        self.wait()
        self.last = self.pool.submit(work)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pool.shutdown()
        if error is None:
            self.wait()
