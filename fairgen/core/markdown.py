"""Pages in Markdown: tables whose cells cannot break them, and how a page looks on a terminal."""

import re
from collections.abc import Iterable
from typing import Any


def table(head: Iterable[str], body: Iterable[Iterable[Any]]) -> str:
    """A Markdown table; bars, line breaks and angle brackets in the cells are made harmless."""
    lines = [list(head), *(list(row) for row in body)]
    cells = [[clean(cell) for cell in line] for line in lines]
    cells.insert(1, ["---"] * len(cells[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def plain(text: str) -> str:
    """A page without its marks, for a terminal: headings in capitals, tables as columns, entities as what
    they stand for.
    """
    parts = [_columns(part) if part.startswith("| ") else _text(part) for part in text.split("\n\n")]
    return "\n\n".join(part.lstrip("# ").upper() if part.startswith("#") else part for part in parts)


def _columns(table: str) -> str:
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines() if not line.startswith("| ---")]
    cells = [[_text(cell.strip()) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def _text(cleaned: str) -> str:
    return cleaned.replace("\\|", "|").replace("&lt;", "<").replace("&gt;", ">")


def clean(cell: Any) -> str:
    """Text that cannot break a table or inject markup."""
    return " ".join(str(cell).split()).replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")
