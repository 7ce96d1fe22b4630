"""Pages in Markdown: tables whose cells cannot break them."""

from collections.abc import Iterable
from typing import Any


def table(head: Iterable[str], body: Iterable[Iterable[Any]]) -> str:
    """A Markdown table; bars, line breaks and angle brackets in the cells are made harmless."""
    lines = [list(head), *(list(row) for row in body)]
    cells = [[clean(cell) for cell in line] for line in lines]
    cells.insert(1, ["---"] * len(cells[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def clean(cell: Any) -> str:
    """Text that cannot break a table or inject markup."""
    return " ".join(str(cell).split()).replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")
