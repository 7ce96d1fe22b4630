"""How far a job is: a bar on a terminal, and now and then a line in its log, which `fairgen watch` reads.

No result depends on it, so its code is not tracked (`fingerprint.UNTRACKED`).
"""

import logging
import os
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Thing = TypeVar("Thing")
# environment variable: "0" where something else draws on the terminal, which bars of jobs would tear
BARS = "FAIRGEN_BARS"
EVERY, SHARE = 5.0, 0.01  # seconds between two lines, and that share of a long job: its log stays short
log = logging.getLogger("fairgen")


def hidden() -> bool | None:
    """Whether a bar is not drawn, as tqdm takes it: None where that depends on a terminal being there."""
    return True if os.environ.get(BARS) == "0" else None


def counted(
    things: Iterable[Thing], total: int, what: str, unit: str = "step", done: int = 0
) -> Iterator[Thing]:
    """The things, while it is told how many of them are done, and how many a second of late.

    Args:
        things: steps, images, or whatever is counted.
        total: how many there are, with those that were done before.
        what: of which job or part of it.
        unit: what one of them is called.
        done: those that an interrupted job has done.
    """
    from tqdm import tqdm

    began, said, told, rate = 0.0, 0.0, done, 0.0
    log.info("%s: %d of %d %ss", what, done, total, unit)
    bar = tqdm(things, total=total, initial=done, desc=what, unit=unit, mininterval=2, disable=hidden())
    for thing in bar:
        yield thing
        done += 1
        now = time.monotonic()
        if not began:  # the first one may have waited for models to be read
            began, said, told = now, now, done
        elif now - said >= max(EVERY, SHARE * (now - began)):
            recent = (done - told) / (now - said)
            rate = (rate + recent) / 2 if rate else recent
            log.info("%s: %d of %d %ss, %.4g a second", what, done, total, unit, rate)
            said, told = now, done
