"""Reading a selection: which images of each group the filter kept, and where they lie."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairgen.core import lineage, parquet


@dataclass
class Selected:
    """A group's file of samples, and the rows in it that are kept, in the file's order."""

    file: Path
    rows: list[int] = field(default_factory=list)

    def column(self, name: str) -> list[Any]:
        """A column of the samples, for the kept rows."""
        values = parquet.read(self.file, [name])[name].to_pylist()
        return [values[row] for row in self.rows]


def read(path: Path) -> dict[str, Selected]:
    """The kept images of every group, groups in the selection's order.

    Raises:
        FairgenError: the samples are not those that were selected from.
    """
    lineage.check_files(parquet.facts(path).get("samples", {}))
    found: dict[str, Selected] = {}
    seen: dict[str, int] = {}
    for row in parquet.rows(path, ["group", "file", "kept"]):
        own = found.setdefault(row["group"], Selected(Path(row["file"])))
        number = seen[row["group"]] = seen.get(row["group"], -1) + 1
        if row["kept"]:
            own.rows.append(number)
    return found


def scores(path: Path) -> list[float]:
    """The score of every kept image, in the order of `read`."""
    found: dict[str, list[float]] = {}
    for row in parquet.rows(path, ["group", "score", "kept"]):
        found.setdefault(row["group"], []).extend([row["score"]] if row["kept"] else [])
    return [score for own in found.values() for score in own]
