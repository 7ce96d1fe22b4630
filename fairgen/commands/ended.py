"""How a command ends that someone stops, that nobody reads any more, or that stands in no folder."""

import contextlib
import os
import sys
from collections.abc import Iterator

from fairgen.core.errors import FairgenError

INTERRUPTED, UNREAD = 130, 141  # exit statuses, as shells have them for these signals: 128 and their numbers


@contextlib.contextmanager
def quietly(command: str) -> Iterator[None]:
    """No trace of Ctrl-C (one line, status 130), nor of a pipe that is closed (status 141).

    Raises:
        SystemExit: with that status.
    """
    try:
        yield
        sys.stdout.flush()  # or Python would complain when it ends
    except KeyboardInterrupt:
        print(f"fairgen {command}: stopped by the user", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        with contextlib.suppress(OSError):  # nor when it flushes what nobody reads
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(UNREAD)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Ctrl-C reaches a command that we have called, too, and that one says so.

    Raises:
        SystemExit: after it.
    """
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def check_folder() -> None:
    """The working folder is there.

    Raises:
        FairgenError: it was deleted.
    """
    try:
        os.getcwd()
    except OSError as error:
        raise FairgenError(
            f"the folder that this was called in is gone ({error.strerror}); change into one that is there"
        ) from error
