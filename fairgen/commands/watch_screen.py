"""What `fairgen watch` shows: by rich on a terminal of any size, the same as plain text, or a line."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fairgen.commands.watch_jobs import Running
from fairgen.commands.watch_log import AT_WORK

AROUND = 4  # rows for headings and space
ROWS_COMPACT = 8  # of the stages where there is no room for all
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
    waiting: int  # for their turn in a queue, or for their first word
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
    remote: bool = False  # its jobs wait in a queue
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
        return self.kind not in AT_WORK


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
    """The time left; a lower bound where times of some stages are not known."""
    if shot.left is None or (not shot.left and shot.unknown):
        return f"time left: {UNKNOWN}"
    whole = " (of the whole call)" if shot.datasets else ""
    return f"time left{whole}: {'at least ' if shot.unknown else ''}{duration(shot.left)}"


def about(one: Running, several: bool) -> str:
    """Which job of its stage one is; with its data set where there are several."""
    named = dict(one.job.wildcards)
    parts = [named.pop(key, "") for key in ("dataset", "scope", "method", "ablation", "group")]
    parts += [f"{key} {value}" for key, value in named.items()]
    return " ".join(part for part in parts[0 if several else 1 :] if part and part != "any")


def steps(one: Running, short: bool) -> str:
    """Its step of so many, with the rate where there is room."""
    if one.progress is None:
        return UNKNOWN
    count = f"{one.progress.done}/{one.progress.total}"
    if short:
        return count
    speed = f", {one.progress.rate:.3g}/s" if one.progress.rate else ""
    return f"{count} {one.progress.unit}{speed}"


def stages(shown: Sequence[Row], width: int) -> Table:
    """Stages in the DAG's order."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(width=max(8, min(40, width - 46)))
    table.add_column(no_wrap=True)
    for row in shown:
        counts = (
            (row.running, "running", "cyan"),
            (row.waiting, "starting", "dim"),
            (row.failed, "failed", "red"),
        )
        said = [Text(f"{count} {what}", style=style) for count, what, style in counts if count]
        notes = Text(", ").join(said)
        bar = ProgressBar(
            total=max(1, row.total), completed=row.done, complete_style="cyan", finished_style="green"
        )
        table.add_row(row.stage, f"{row.done}/{row.total}", bar, notes)
    return table


def compact(shot: Snapshot, width: int) -> Iterator[RenderableType]:
    """The stages where rows are few: those at work each in a row, the others together in a line."""
    done = [row for row in shot.stages if row.done == row.total]
    to_come = [row for row in shot.stages if not (row.done or row.running or row.waiting or row.failed)]
    if done:
        yield Text(f"done: {', '.join(f'{row.stage} {row.total}' for row in done)}", style="green")
    if at_work := [row for row in shot.stages if row not in done and row not in to_come]:
        yield stages(at_work, width)
    if to_come:
        yield Text(f"to come: {', '.join(f'{row.stage} {row.total}' for row in to_come)}", style="dim")


def jobs(shot: Snapshot, width: int, most: int) -> Table:
    """The running jobs, those that still wait last."""
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim")
    table.add_column("running", no_wrap=True)
    table.add_column("")  # the only one that gives way
    for name in ("for", "step", "left"):
        table.add_column(name, justify="right", no_wrap=True)
    several = len({one.job.wildcards.get("dataset") for one in shot.running}) > 1
    ordered = sorted(shot.running, key=lambda one: (one.since is None, one.job.began))
    for one in ordered[:most]:
        age = ("waits" if shot.remote else "starts") if one.since is None else duration(one.since)
        named = Text(about(one, several), no_wrap=True, overflow="ellipsis")
        table.add_row(one.job.stage, named, age, steps(one, width < NARROW), duration(one.left))
    if len(ordered) > most:
        table.add_row("", f"… and {len(ordered) - most} more")
    return table


def head(shot: Snapshot) -> Iterator[Text]:
    """How the call stands, its counts, the time left, and the last error."""
    named = f" · {', '.join(shot.datasets)}" if shot.datasets else ""
    yield Text.assemble(("fairgen watch ", "bold"), shot.folder, named)
    yield Text("snakemake ", style=COLOURS[shot.kind]).append(shot.words)
    if shot.total:
        share = f"{shot.done} of {shot.total} jobs ({shot.done / shot.total:.0%})"
        took = f"{'took' if shot.over else 'for'} {duration(shot.elapsed)}"
        yield Text(" · ".join(filter(None, [share, took, shot.at_once, rate(shot)])))
    if shot.total and not shot.over:
        yield Text(remaining(shot), style="bold")
        if shot.unknown:
            more = len(shot.unknown) - 5
            named = ", ".join(shot.unknown[:5]) + (f" and {more} more" if more > 0 else "")
            yield Text(f"times not known yet: {named}", style="dim")
    if shot.error:
        yield Text("last error: ", style="red").append(shot.error, style="default")
        if shot.trace:
            yield Text(f"trace in {shot.trace}")


def view(shot: Snapshot, width: int, height: int) -> Group:
    """The whole view for a terminal of that size: jobs and stages take the rows that are left by the head."""
    top = [*head(shot)]
    free = height - sum(max(1, -(-len(text) // width)) for text in top)
    below: list[RenderableType] = []
    if shot.stages:
        few = len(shot.stages) + min(4, len(shot.running)) + AROUND > free
        below += ["", *(compact(shot, width) if few else [stages(shot.stages, width)])]
        free -= ROWS_COMPACT if few else len(shot.stages)
    if shot.running:
        below += ["", jobs(shot, width, max(1, free - AROUND))]
    return Group(*top, *below)


def screen(shot: Snapshot, width: int = 100) -> str:
    """The view as plain text."""
    written = io.StringIO()
    console = Console(
        file=written, width=width, color_system=None, force_terminal=False, legacy_windows=False
    )
    console.print(view(shot, width, 1000))
    return "\n".join(text.rstrip() for text in written.getvalue().rstrip().splitlines())


def line(shot: Snapshot) -> str:
    """The view in one line, for a log file."""
    said = [f"{shot.done} of {shot.total} jobs"] if shot.total else []
    said += [f"{len(shot.running)} running"] if shot.running else []
    said += [f"{shot.failed} failed"] if shot.failed else []
    said += [remaining(shot)] if said and not shot.over else []
    said += [f"last error: {shot.error}"] if shot.error else []
    return " · ".join([f"snakemake {shot.words}", *said])
