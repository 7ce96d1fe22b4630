"""What `fairgen watch` shows: by rich on a terminal of any size, the same as plain text, or a line."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fairgen.commands.watch_jobs import Running

NARROW = 76  # columns below which rates and bars are left out or short
COLOURS = {
    **{"running": "green", "elsewhere": "green", "well": "green", "stopping": "yellow", "stopped": "yellow"},
    **{"failed": "red", "refused": "red", "killed": "red", "nothing": "yellow"},
}
UNKNOWN = "–"


@dataclass(frozen=True)
class Row:
    """A stage and its jobs in this call."""

    stage: str
    done: int
    total: int
    running: int
    failed: int


@dataclass(frozen=True)
class Snapshot:
    """All that is shown of a call: how it stands (`kind`, and in words), counts, jobs, the last error."""

    folder: str
    kind: str
    words: str
    command: str = ""
    datasets: tuple[str, ...] = ()
    elapsed: float | None = None
    at_once: str = ""
    done: int = 0
    total: int = 0
    left: float | None = None
    unknown: tuple[str, ...] = ()  # stages whose times are not known: what is left is a lower bound then
    stages: tuple[Row, ...] = ()
    running: tuple[Running, ...] = ()
    failed: int = 0
    error: str = ""
    trace: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing more will come of the call."""
        return self.kind not in ("running", "stopping", "elsewhere")


def duration(seconds: float | None) -> str:
    """Seconds, minutes, hours or days to two figures."""
    if seconds is None:
        return UNKNOWN
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s" if whole < 600 else f"{whole // 60} min"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours} h {minutes:02} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def rate(shot: Snapshot) -> str:
    """Jobs that ended in a minute, an hour or a day."""
    if not shot.done or not shot.elapsed:
        return ""
    each = shot.done / shot.elapsed
    unit, length = next(
        ((u, s) for u, s in (("minute", 60), ("hour", 3600)) if each * s >= 1), ("day", 86400)
    )
    return f"{each * length:.3g} jobs a{'n' if unit == 'hour' else ''} {unit}"


def remaining(shot: Snapshot) -> str:
    """The time left, and what it does not count."""
    if shot.left is None or (not shot.left and shot.unknown):
        return f"time left: {UNKNOWN}" + (" (no job has ended yet)" if shot.unknown else "")
    bound = "at least " if shot.unknown else ""
    return f"time left: {bound}{duration(shot.left)}"


def about(one: Running) -> str:
    """Which job of its stage one is."""
    named = dict(one.job.wildcards)
    parts = [named.pop(key, "") for key in ("dataset", "scope", "method", "ablation", "group")]
    parts += [f"{key} {value}" for key, value in named.items()]
    return " ".join(filter(None, parts))


def steps(one: Running, short: bool) -> str:
    """Its step of so many, with the rate where there is room."""
    if one.progress is None:
        return UNKNOWN
    count = f"{one.progress.done}/{one.progress.total}"
    if short:
        return count
    speed = f", {one.progress.rate:.3g}/s" if one.progress.rate else ""
    return f"{count} {one.progress.unit}s{speed}"


def stages(shot: Snapshot, width: int, colour: bool) -> Table:
    """The stages in the DAG's order."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(width=max(8, min(40, width - 46)))
    table.add_column(no_wrap=True)
    for row in shot.stages:
        said = [f"{row.running} running"] if row.running else []
        notes = Text(", ".join(said), style="cyan")
        if row.failed:
            notes.append(f"{', ' if said else ''}{row.failed} failed", style="red")
        bar = ProgressBar(
            total=max(1, row.total), completed=row.done, complete_style="cyan", finished_style="green"
        )
        table.add_row(row.stage, f"{row.done}/{row.total}", bar, notes)
    return table


def jobs(shot: Snapshot, width: int, most: int) -> Table:
    """The running jobs, those that still wait last."""
    short = width < NARROW
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim", expand=False)
    for name, side in (
        ("running", "left"),
        ("", "left"),
        ("for", "right"),
        ("step", "right"),
        ("left", "right"),
    ):
        table.add_column(
            name,
            justify="right" if side == "right" else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=None,
            max_width=width if name else max(12, width - (42 if short else 62)),
        )
    ordered = sorted(shot.running, key=lambda one: (one.since is None, one.job.began))
    for one in ordered[:most]:
        age = "waits" if one.since is None else duration(one.since)
        table.add_row(one.job.stage, about(one), age, steps(one, short), duration(one.left))
    if len(ordered) > most:
        table.add_row("", f"… and {len(ordered) - most} more")
    return table


def parts(shot: Snapshot, width: int, height: int, colour: bool) -> Iterator[RenderableType]:
    """The view from top to bottom."""
    yield Text.assemble(
        ("fairgen watch ", "bold"), shot.folder, *([" · ", ", ".join(shot.datasets)] if shot.datasets else [])
    )
    yield Text("snakemake ", style=COLOURS[shot.kind]).append(shot.words)
    if shot.kind == "nothing":
        return
    if shot.total:
        share = f"{shot.done} of {shot.total} jobs ({shot.done / shot.total:.0%})"
        took = f"{'took' if shot.over else 'for'} {duration(shot.elapsed)}"
        yield Text(" · ".join(filter(None, [share, took, shot.at_once, rate(shot)])))
        if not shot.over:
            yield Text(remaining(shot), style="bold")
            if shot.left and shot.unknown:
                yield Text(
                    f"not counted, for nothing is known of it yet: {', '.join(shot.unknown)}", style="dim"
                )
        yield Text()
        yield stages(shot, width, colour)
    if shot.running:
        yield Text()
        yield jobs(shot, width, max(3, height - len(shot.stages) - 13))
    if shot.error:
        yield Text()
        yield Text("last error: ", style="red").append(shot.error, style="default")
        if shot.trace:
            yield Text(f"log: {shot.trace}")


def view(shot: Snapshot, width: int, height: int) -> Group:
    """The whole view for a terminal of that size."""
    return Group(*parts(shot, width, height, True))


def screen(shot: Snapshot, width: int = 100) -> str:
    """The view as plain text."""
    written = io.StringIO()
    console = Console(
        file=written, width=width, color_system=None, force_terminal=False, legacy_windows=False
    )
    console.print(Group(*parts(shot, width, 1000, False)))
    return "\n".join(text.rstrip() for text in written.getvalue().rstrip().splitlines())


def line(shot: Snapshot) -> str:
    """The view in one line, for a log file."""
    said = [f"{shot.done} of {shot.total} jobs"] if shot.total else []
    said += [f"{len(shot.running)} running"] if shot.running else []
    said += [f"{shot.failed} failed"] if shot.failed else []
    said += [remaining(shot)] if said and not shot.over else []
    said += [f"last error: {shot.error}"] if shot.error else []
    return " · ".join([f"snakemake {shot.words}", *said])
