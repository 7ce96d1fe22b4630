"""Line charts as a page draws them: lines with markers and dashes beside colour, axes with round numbers, a
label at the end of each line, and all numbers in a table.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from jinja2 import Environment
from markupsafe import Markup

from fairgen.core.evenly import evenly

WIDTH, HEIGHT = 420, 260  # of a drawing, in its own units
LEFT, RIGHT, TOP, BOTTOM = 52, 96, 12, 42  # room around the axes; on the right for the lines' names
STYLES = 8  # lines that look different (report.css); more are told apart by their names
MARKED = 8  # markers on a line at most
STEPS = 400  # points of a line that are drawn at most
LISTED = 60  # rows of the table at most
NAMED = 14  # characters of a line's name beside it
APART = 13  # between the names of two lines


@dataclass(frozen=True)
class Series:
    """One line: its name and its points, in their order; a value that is no number leaves a gap."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Line:
    """A series as it is drawn."""

    name: str
    short: str
    style: int  # of colour, dashes and marker
    path: str
    marks: list[tuple[float, float]]
    end: tuple[float, float] | None  # of the last point
    label: float  # height of its name


@dataclass(frozen=True)
class Chart:
    """A drawing with its table; x and y ticks are (place, text)."""

    title: str
    words: str  # what it shows, for who cannot see it
    x_label: str
    y_label: str
    lines: list[Line]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    head: list[str]
    body: list[list[str]]
    left_out: int  # rows that the table leaves out
    box: tuple[int, int, int, int] = (LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM)  # left, top, right, bottom
    size: tuple[int, int] = (WIDTH, HEIGHT)


def curves_section(
    curves: Iterable[tuple[str, Sequence[Series]]], pages: Environment, x_label: str = "step"
) -> Markup:
    """Training curves as HTML, a chart for each name; nothing where no series has a point.

    Args:
        curves: (name of the chart, its lines) in their order.
        pages: the page's templates.
        x_label: what stands on the x axis.
    """
    drawn = [found for name, series in curves if (found := chart(name, series, x_label, "")) is not None]
    return Markup(pages.get_template("curves.html").render(charts=drawn) if drawn else "")


def chart(title: str, series: Sequence[Series], x_label: str, y_label: str) -> Chart | None:
    """A chart of some lines; None without a single point."""
    there = [one for one in series if points(one)]
    if not there:
        return None
    every = [point for one in there for point in points(one)]
    spans = [(min(values), max(values)) for values in zip(*every, strict=True)]
    x_ticks, y_ticks = (ticks(*span) for span in spans)
    ranges = [(min(lo, t[0]), max(hi, t[-1])) for (lo, hi), t in zip(spans, (x_ticks, y_ticks), strict=True)]

    def place(x: float, y: float) -> tuple[float, float]:
        (x0, x1), (y0, y1) = ranges
        across = LEFT + (x - x0) / (x1 - x0) * (WIDTH - RIGHT - LEFT)
        return round(across, 1), round(HEIGHT - BOTTOM - (y - y0) / (y1 - y0) * (HEIGHT - BOTTOM - TOP), 1)

    ends = [place(*points(one)[-1]) for one in there]
    heights = apart([y for _, y in ends])
    lines = [
        Line(
            one.name,
            shortened(one.name),
            number % STYLES,
            path(one, place),
            [place(*point) for point in evenly(points(one), MARKED)],
            ends[number],
            heights[number],
        )
        for number, one in enumerate(there)
    ]
    head, body = table(there, x_label)
    return Chart(
        title,
        words(there),
        x_label,
        y_label,
        lines,
        [(place(x, 0)[0], text(x, x_ticks)) for x in x_ticks],
        [(place(0, y)[1], text(y, y_ticks)) for y in y_ticks],
        head,
        evenly(body, LISTED),
        max(0, len(body) - LISTED),
    )


def shortened(name: str) -> str:
    """A line's name as it fits beside it: to its first comma, or cut."""
    first = name if len(name) <= NAMED else name.partition(",")[0]
    return first if len(first) <= NAMED else f"{first[: NAMED - 1]}…"


def points(series: Series) -> list[tuple[float, float]]:
    """The points that can be drawn."""
    return [p for p in zip(series.x, series.y, strict=True) if all(math.isfinite(v) for v in p)]


def path(series: Series, place: Callable[[float, float], tuple[float, float]]) -> str:
    """The line in SVG's words, with a gap where a value is no number."""
    whole = list(zip(series.x, series.y, strict=True))
    parts = []
    for finite, run in groupby(evenly(whole, STEPS), key=lambda p: all(math.isfinite(v) for v in p)):
        if finite:
            parts.append("M" + "L".join("{:g} {:g}".format(*place(*point)) for point in run))
    return "".join(parts)


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers from just below `low` to just above `high`: steps of 1, 2 or 5 times a power of ten.

    Around a single value from 0 to 1 they stay within 0 to 1, as shares do, and around one above within 0.
    """
    if low == high:
        room = max(0.5, abs(low) / 2)
        least, most = (0.0, 1.0) if 0 <= low <= 1 else (-math.inf, math.inf)
        low, high = max(least, low - room), min(most, high + room)
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def text(value: float, among: list[float]) -> str:
    """A tick's number, with no more places than its step has."""
    step = among[1] - among[0]
    if value and not 1e-4 <= max(map(abs, among)) < 1e6:
        return f"{value:.1e}"
    return f"{value:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"


def apart(heights: list[float]) -> list[float]:
    """Heights of labels that do not cover each other, each as near to its own as may be."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    found, last = list(heights), -math.inf
    for i in order:
        last = found[i] = max(heights[i], last + APART)
    limit = float(HEIGHT - BOTTOM)
    for i in reversed(order):
        found[i] = min(found[i], limit)
        limit = found[i] - APART
    return [round(height, 1) for height in found]


def table(series: Sequence[Series], x_label: str) -> tuple[list[str], list[list[str]]]:
    """Head and rows of all numbers, a row for each x."""
    values = [dict(points(one)) for one in series]
    places = sorted({x for own in values for x in own})
    rows = [[f"{x:g}", *(f"{own[x]:.4g}" if x in own else "–" for own in values)] for x in places]
    return [x_label, *(one.name for one in series)], rows


def words(series: Sequence[Series]) -> str:
    """Where each line begins and ends."""
    told = ((one.name, points(one)) for one in series)
    return "; ".join(f"{name} from {own[0][1]:.4g} to {own[-1][1]:.4g}" for name, own in told) + "."
