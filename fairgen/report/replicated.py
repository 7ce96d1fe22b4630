"""What replicates say: the table of a data set, the paper's claims on it, and the map of which method is best
where.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairgen.core.errors import FairgenError
from fairgen.evaluate import intervals, results
from fairgen.evaluate.claims import FINETUNED, MARGIN, OURS, Judgement, beside, judge, notes, runs_of
from fairgen.report.ranking import ranked, spread, verdict

REFERENCE = "groupdro"


@dataclass(frozen=True)
class Table:
    """Worst-group accuracy of each method at a ratio, the best first: over the replicates, minus Group-DRO
    where it is compared, and of each replicate.
    """

    ratio: str
    verdict: str  # whether a method wins, and which are not ranked, as sentences
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


@dataclass(frozen=True)
class Cell:
    """The best method of a ratio, its figure, the methods that are not set apart from it, and whether there
    is no other.
    """

    method: str
    figure: dict[str, Any]
    level: list[str]
    alone: bool = False


@dataclass(frozen=True)
class Claims:
    """The claims on a data set: how many replicates judge them, each with its verdict, and why those that
    are not there cannot be judged.
    """

    replicates: int
    judged: list[Judgement]
    why: str
    finetuned: list[str]
    ours: str = OURS
    margin: float = MARGIN
    notes: tuple[str, ...] = ()  # what has to be known beside them


@dataclass(frozen=True)
class Map:
    """Which method is best: a row for each data set, a cell for each ratio, None where it was not tried."""

    ratios: list[str]
    rows: list[tuple[str, int, list[Cell | None]]]  # data set, its replicates, cells


def tables(document: dict[str, Any]) -> list[Table]:
    """The table of each ratio; figures as text."""
    found = []
    for ratio, compared in document["results"].items():
        minus = document["comparisons"][ratio][f"minus_{REFERENCE}"]
        rows = []
        for method, entry in ranked(compared):
            worst = entry["worst_group_accuracy"]
            leads = [lead(minus.get(method))] if minus else []
            rows.append((method, spread(worst), *leads, *(f"{v:.3f}" for v in worst["per_replicate"])))
        leads = [f"minus {REFERENCE}"] if minus else []
        head = ("method", "worst group", *leads, *document["replicates"])
        found.append(Table(ratio, verdict(document, ratio), head, rows))
    return found


def lead(found: dict[str, Any] | None) -> str:
    """A paired difference with its interval; a dash for the reference itself."""
    return f"{found['mean']:+.3f} ({intervals.shown(found)})" if found else "–"


def cell(document: dict[str, Any], ratio: str) -> Cell:
    """What the replicates say of one ratio."""
    comparison = document["comparisons"][ratio]
    leader = comparison["leader"]
    others = comparison["leader_minus"]
    level = [name for name, lead in others.items() if not intervals.clear(lead)]
    figure = document["results"][ratio][leader]["worst_group_accuracy"]
    return Cell(leader, figure, level, alone=not others)


def claims(document: dict[str, Any], path: Path) -> Claims:
    """The claims with the methods that they are about by default, as far as these are compared."""
    compared = next(iter(document["results"].values()))
    finetuned = [name for name in FINETUNED if name in compared]
    count, known = len(document["replicates"]), tuple(notes(document, document["results"]))
    if not finetuned:
        why = f"no {', '.join(FINETUNED)} among the methods that it compares"
        return Claims(count, [], why, [], notes=known)
    about = dict.fromkeys([*finetuned, OURS, "vanilla", REFERENCE])
    absent = [name for name in about if name not in compared]
    why = f"no {', '.join(absent)} among the methods that it compares" if absent else ""
    try:
        runs = runs_of(document, [name for name in about if name in compared], path)
    except FairgenError as error:
        return Claims(count, [], str(error).removeprefix(f"{path}: "), finetuned, notes=known)
    found = judge(runs, finetuned, OURS, MARGIN, document.get("resplit", 0.0))
    return Claims(count, found, why, finetuned, notes=tuple(beside(document, runs, found)))


def map_of(documents: list[dict[str, Any]]) -> Map | None:
    """The map over some data sets, without trials; None without any."""
    documents = [document for document in documents if not document.get("trial")]
    ratios = results.in_order({ratio for document in documents for ratio in document["results"]})
    rows = [
        (
            document["dataset"],
            len(document["replicates"]),
            [cell(document, ratio) if ratio in document["results"] else None for ratio in ratios],
        )
        for document in documents
    ]
    return Map(ratios, rows) if rows else None


def read(files: list[Path], dataset: str) -> dict[str, Any]:
    """The tables and the claims of a data set, if its own replicates are among some files, and the map over
    all of them; as the page's template calls them.
    """
    documents = [(path, results.load(path, "replicates")) for path in files]
    own = next(((path, found) for path, found in documents if found["dataset"] == dataset), None)
    return {
        "replicated": tables(own[1]) if own else [],
        "trial": own[1].get("trial", "") if own else "",
        "claims": claims(own[1], own[0]) if own else None,
        "map": map_of([found for _, found in documents]),
    }
