"""The callback of a job whose training is watched: it keeps curves and draws sample images, and passes them
on to a tracker.

What goes wrong in one of the three ends that one, with a warning, and never the job.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fairgen.core import job
from fairgen.core.callback import Callback
from fairgen.monitor import curves, trackers

WRITES = 5.0  # seconds between two versions of the file, at least


class Watcher(Callback):
    """The callback of one job.

    Args:
        asked: the config's block `monitor`.
        artifact: the job's first output.
        record: its lineage, with its stage and settings.
    """

    def __init__(self, asked: dict[str, Any], artifact: Path, record: dict[str, Any]):
        self.asked, self.artifact = asked, artifact
        self.looks = bool(asked["curves"] or asked["tracker"] != trackers.NONE)
        self.about = {"artifact": str(artifact), "stage": record["stage"], "lineage": record["hash"]}
        self.phases: dict[str, list[dict[str, Any]]] = {}
        self.runs: list[dict[str, Any]] = []  # of the phase that runs
        self.early: list[tuple[int, Sequence[dict[str, float]]]] = []  # looks before it has begun
        self.ended: set[str] = set()  # what has gone wrong
        self.written = 0.0
        self.sketches: Any = None
        self.tracker = trackers.Tracker(asked["tracker"], artifact, record["settings"])

    def attempt(self, what: str, work: Callable[..., object], *given: Any) -> None:
        """Do something that belongs to `what`, unless that has ended; a failure ends it."""
        if what in self.ended:
            return
        try:
            work(*given)
        except Exception as error:
            self.ended.add(what)
            job.log.debug("the watching of this training failed", exc_info=error)
            job.warn(f"{self.artifact}: no more {what} of its training ({job.one_line(error, None)})")

    def begin(self, phase: str, runs: Sequence[str], steps: int, notes: dict[str, Any]) -> None:
        """Go on from the notes of a checkpoint, or begin."""
        notes.setdefault("runs", [curves.begun(name, phase, steps) for name in runs])
        self.runs = self.phases[phase] = notes["runs"]
        self.attempt("tracking", self.tracker.begin)
        early, self.early = self.early, []
        for given in early:
            self.look(*given)

    def next_phase(self) -> None:
        """Let looks wait for the phase that begins next."""
        self.runs = []

    def draws_at(self, steps: int) -> set[int]:
        """The steps after which sample images are drawn."""
        samples = self.asked["samples"]
        at = samples["at"] if samples["images"] and self.asked["curves"] else []
        return {round(part * steps) for part in at}

    def preview(self, preview: Any) -> None:
        """Make ready to draw."""
        if self.draws_at(1):
            self.attempt("sample images", self._prepare, preview)

    def _prepare(self, preview: Any) -> None:
        from fairgen.monitor.sketches import Sketches

        self.sketches = Sketches(preview, self.asked["samples"], self.asked["near"])

    def step(self, number: int, losses: Sequence[float], norms: Sequence[float], rate: float) -> None:
        """Keep it in the curves."""
        for place, run in enumerate(self.runs):
            before = len(run["training"]["step"])
            curves.add(run, number, losses[place], norms[place] if norms else None, rate)
            if len(run["training"]["step"]) > before:
                values = {key: values[-1] for key, values in run["training"].items() if key != "step"}
                self.attempt("tracking", self.tracker.log, run, values, number)

    def wants_norm(self, number: int) -> bool:
        """At the end of every part of the run that becomes a point."""
        return bool(self.runs) and number % curves.width(self.runs[0]["steps"]) == 0

    def look(self, number: int, figures: Sequence[dict[str, float]]) -> None:
        """Keep the figures of a look; one before the training has begun waits for that."""
        if not self.runs:
            self.early.append((number, figures))
            return
        if number in (look["step"] for look in self.runs[0]["looks"]):  # before a kill
            return
        for run, own in zip(self.runs, figures, strict=True):
            if own:
                values = {key: curves.number(value) for key, value in own.items()}
                run["looks"].append({"step": number, **values})
                self.attempt("tracking", self.tracker.log, run, values, number)
        self.write()

    def draw(self, number: int) -> None:
        """Draw sample images of every run."""
        for place, run in enumerate(self.runs if self.sketches else []):
            self.attempt("sample images", self._draw, place, run, number)
        self.write()

    def _draw(self, place: int, run: dict[str, Any], number: int) -> None:
        pixels, sample = self.sketches.sample(place)
        run["samples"].append({"step": number, **sample})
        self.attempt("tracking", self.tracker.draw, run, pixels, sample, number)

    def selected(self, steps: Sequence[int]) -> None:
        """Keep which step was chosen."""
        for run, step in zip(self.runs, steps, strict=True):
            run["selected_step"] = step

    def close(self, done: bool) -> None:
        """Write the last version; a failed job leaves what it has."""
        self.write(done, now=True)
        self.attempt("tracking", self.tracker.close)

    def write(self, done: bool = False, now: bool = False) -> None:
        """Write the file, unless that was just done."""
        runs = [run for phase in self.phases.values() for run in phase]
        if self.asked["curves"] and runs and (now or time.monotonic() - self.written >= WRITES):
            self.written = time.monotonic()
            document = {**self.about, "done": done, "runs": [curves.told(run) for run in runs]}
            self.attempt("curves", curves.write, curves.beside(self.artifact), document)
