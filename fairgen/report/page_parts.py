"""The page's templates, and its tables of figures: the result at each ratio, and costs."""

import hashlib
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fairgen.core.rounding import down
from fairgen.evaluate import intervals, results
from fairgen.report import charts, ranking
from fairgen.report.costs import Spent


@dataclass(frozen=True)
class Value:
    """A cell of a table: what it shows, and the number by which it is sorted."""

    text: str
    number: float | None = None


@dataclass(frozen=True)
class Ranked:
    """A method's row: its worst-group accuracy with interval and seeds (shares of 1), and all other cells."""

    method: str
    mean: float
    interval: list[float] | None
    seeds: list[float]
    cells: list[Value]


@dataclass(frozen=True)
class Comparison:
    """The table of one ratio, the best method first."""

    ratio: str
    head: list[tuple[str, str]]  # with the kind of its cells
    rows: list[Ranked]
    gaps: list[str]  # groups without rows
    verdict: str


def templates(folder: Path) -> Environment:
    """The templates of a folder; what they are given is text, never markup, unless it is said to be."""
    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["down"] = down
    return made


def allowed(text: str) -> str:
    """What a page's Content-Security-Policy says of a style or script of this text: it alone may be used."""
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def inside(assets: list[Path]) -> dict[str, Any]:
    """The style and the script, which the page holds, and what its policy says of them."""
    texts = {path.name: path.read_text("utf-8") for path in assets if path.suffix in (".css", ".js")}
    return {
        "files": {name: Markup(text) for name, text in texts.items()},
        "hashes": {name: Markup(allowed(text)) for name, text in texts.items()},
    }


def comparisons(document: dict[str, Any]) -> list[Comparison]:
    """A table for each ratio."""
    found = []
    for ratio, methods in document["results"].items():
        groups = list(next(iter(methods.values()))["groups"])
        beside = [key.removesuffix("_accuracy") for key in ranking.BESIDE]
        numbers = [(word, "number") for word in ("worst group", "95 %")]
        figures = [(word, "number") for word in (*beside, *groups)]
        head = [*numbers, ("which", ""), *figures, ("group labels for", "")]
        gaps = results.missing(results.empty_groups(methods))
        verdict = ranking.verdict(document, ratio)
        rows = [row(name, entry) for name, entry in ranking.ranked(methods)]
        found.append(Comparison(ratio, head, rows, gaps, verdict))
    return found


def row(name: str, entry: dict[str, Any]) -> Ranked:
    """One method's row."""
    worst = entry["worst_group_accuracy"]
    cells = [
        share(worst),
        Value(intervals.shown(worst), worst["ci95"][0] if worst["ci95"] else None),
        Value(entry["worst_group"]["by_mean"]),
        *map(share, ranking.figures(entry)),
        Value(ranking.labels(entry)),
    ]
    return Ranked(name, worst["mean"], worst["ci95"], worst["per_seed"], cells)


def share(figure: dict[str, Any] | None) -> Value:
    """A mean accuracy, or a dash."""
    return Value("–") if figure is None else Value(f"{figure['mean']:.3f}", figure["mean"])


def over_ratios(document: dict[str, Any]) -> charts.Chart | None:
    """Worst-group accuracy over the bias ratio as lines; None for fewer than two ratios that are numbers."""
    ratios = sorted((r for r in document["results"] if r != "natural"), key=float)
    if len(ratios) < 2:
        return None
    places = [float(ratio) for ratio in ratios]
    methods = [name for name, _ in ranking.ranked(document["results"][ratios[-1]])]
    lines = [
        charts.Series(
            name,
            places,
            [document["results"][r][name]["worst_group_accuracy"]["mean"] for r in ratios],
        )
        for name in methods
    ]
    return charts.chart("Worst-group accuracy over the bias ratio", lines, "bias ratio", "accuracy")


def costs_by(spent: Iterable[Spent], what: str) -> list[list[Value]]:
    """Costs added up by `stage` or by `method`, the longest first, and the sum of all."""
    listed, sums = list(spent), defaultdict(list)
    for one in listed:
        sums[getattr(one, what) or "shared by all"].append(one)
    found = sorted(sums.items(), key=lambda item: -sum(one.hours for one in item[1]))
    return [[Value(name), *amounts(own)] for name, own in found]


def amounts(spent: list[Spent]) -> list[Value]:
    """Jobs, hours, core-hours, GPU-hours and the largest memory of some rows together."""
    cores = [one.core_hours for one in spent if one.core_hours is not None]
    memory = [one.memory for one in spent if one.memory is not None]
    jobs = sum(one.jobs for one in spent)
    return [
        Value(str(jobs), jobs),
        amount(sum(one.hours for one in spent)),
        amount(sum(cores) if cores else None),
        amount(sum(one.gpu_hours for one in spent)),
        amount(max(memory, default=None)),
    ]


def amount(value: float | None) -> Value:
    """An amount with three decimals below one, else two."""
    if value is None:
        return Value("–")
    if 0 < value < 0.0005:
        return Value("< 0.001", value)
    return Value(f"{value:.3f}" if 0 < value < 1 else f"{value:.2f}" if value else "0", value)
