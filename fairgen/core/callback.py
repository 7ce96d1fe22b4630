"""What is called beside a training, and changes nothing of it: curves, sample images, trackers.

The workflow tells a job in the environment what to keep of its training, and the module that keeps it is
imported by its name: neither is in a fingerprint or a lineage, so no result depends on it.
"""

import importlib
import json
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

MONITOR = "FAIRGEN_MONITOR"  # environment variable: the config's block `monitor` as JSON
WATCHERS = "fairgen.monitor.watcher"  # the module whose `Watcher` is the callback of a job

log = logging.getLogger("fairgen")


class Callback:
    """One that keeps nothing: that of a training which nobody watches. A training that goes on after a kill
    gives back the `notes` that it had been given.
    """

    looks = False  # whether losses on held-out images are wanted

    def begin(self, phase: str, runs: Sequence[str], steps: int, notes: dict[str, Any]) -> None:
        """A training of so many steps begins, or goes on, of one or several models (`runs`) at once."""

    def draws_at(self, steps: int) -> set[int]:
        """After which of so many steps sample images are drawn; 0 stands for before the first."""
        return set()

    def next_phase(self) -> None:
        """What is looked at from here on belongs to the phase that begins next."""

    def preview(self, preview: Any) -> None:
        """What sample images can be drawn with while a generator is trained (`held_out.Preview`)."""

    def step(self, number: int, losses: Sequence[float], norms: Sequence[float], rate: float) -> None:
        """A step is done: loss and gradient norm of each run, and the learning rate."""

    def wants_norm(self, number: int) -> bool:
        """Whether the gradient norm of this step is worth its computation."""
        return False

    def look(self, number: int, figures: Sequence[dict[str, Any]]) -> None:
        """Figures of each run on images that it has not been trained on, after so many steps."""

    def draw(self, number: int) -> None:
        """Draw sample images, after so many steps."""

    def selected(self, steps: Sequence[int]) -> None:
        """The step of each run whose weights are kept."""

    def close(self, done: bool) -> None:
        """The job ends, well or not."""


current = Callback()  # of this process's job


def begin(artifact: Path, record: dict[str, Any]) -> None:
    """Take the callback that the environment asks for; `record` is the lineage of the job's `artifact`, which
    has its stage and settings.
    """
    global current
    try:
        asked = json.loads(os.environ.get(MONITOR) or "{}")
        if asked:
            current = importlib.import_module(WATCHERS).Watcher(asked, artifact, record)
    except Exception as error:
        log.warning("%s: its training is not watched (%s: %s)", artifact, type(error).__name__, error)


def end(done: bool) -> None:
    """Let the callback go; nothing that it meets changes how the job ends."""
    global current
    with suppress(Exception):
        current.close(done)
    current = Callback()
