"""What replicates say: the paper's claims on one data set, and the map of which method is best where."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairgen.core.errors import FairgenError
from fairgen.evaluate import results
from fairgen.evaluate.claims import FINETUNED, MARGIN, OURS, Judgement, judge, runs_of


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
    """The claims on a data set: how many replicates judge them, each with its verdict, or why none can be
    judged.
    """

    replicates: int
    judged: list[Judgement]
    why: str
    finetuned: list[str]
    ours: str = OURS
    margin: float = MARGIN
    one_ratio: bool = False  # so that nothing is said of growth with the bias


@dataclass(frozen=True)
class Map:
    """Which method is best: a row for each data set, a cell for each ratio, None where it was not tried."""

    ratios: list[str]
    rows: list[tuple[str, int, list[Cell | None]]]  # data set, its replicates, cells


def cell(document: dict[str, Any], ratio: str) -> Cell:
    """What the replicates say of one ratio."""
    comparison = document["comparisons"][ratio]
    leader = comparison["leader"]
    level = [
        name for name, lead in comparison["leader_minus"].items() if not lead["ci95"] or lead["ci95"][0] <= 0
    ]
    methods = document["results"][ratio]
    return Cell(leader, methods[leader]["worst_group_accuracy"], level, alone=len(methods) == 1)


def claims(document: dict[str, Any], path: Path) -> Claims:
    """The claims with the methods that they are about by default, as far as these are compared."""
    compared = next(iter(document["results"].values()))
    finetuned = [name for name in FINETUNED if name in compared]
    count = len(document["replicates"])
    if not finetuned:
        return Claims(count, [], f"no {', '.join(FINETUNED)} among the methods that it compares", [])
    try:
        runs = runs_of(document, dict.fromkeys([*finetuned, OURS, "vanilla", "groupdro"]), path)
    except FairgenError as error:
        return Claims(count, [], str(error).removeprefix(f"{path}: "), finetuned)
    return Claims(count, judge(runs, finetuned, OURS, MARGIN), "", finetuned, one_ratio=len(runs) == 1)


def map_of(documents: list[dict[str, Any]]) -> Map | None:
    """The map over some data sets, without trials; None without any."""
    documents = [document for document in documents if not document.get("trial")]
    ratios = sorted(
        {ratio for document in documents for ratio in document["results"]},
        key=lambda ratio: 0 if ratio == "natural" else float(ratio),
    )
    rows = [
        (
            document["dataset"],
            len(document["replicates"]),
            [cell(document, ratio) if ratio in document["results"] else None for ratio in ratios],
        )
        for document in documents
    ]
    return Map(ratios, rows) if rows else None


def read(files: list[Path], dataset: str) -> tuple[Claims | None, Map | None]:
    """The claims of a data set, if its own replicates are among some files, and the map over all of them."""
    documents = [(path, results.load(path, "replicates")) for path in files]
    own = next(((path, found) for path, found in documents if found["dataset"] == dataset), None)
    return claims(own[1], own[0]) if own else None, map_of([found for _, found in documents])
