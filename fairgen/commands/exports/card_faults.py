"""What a card must say and does not, and what it should not show others."""

import re
from pathlib import Path
from typing import Any

from fairgen.commands.exports import card
from fairgen.core import places
from fairgen.core.errors import shortened

WANTED = {  # in the front matter, beside the licence
    "model": ("library_name", "pipeline_tag", "tags"),
    "dataset": ("pretty_name", "task_categories", "size_categories", "tags"),
}
SECRET = re.compile(r"\b(?:hf_\w{16,}|gh[pousr]_\w{20,}|sk-[\w-]{20,}|AKIA[A-Z0-9]{16})")  # usual keys
GAPS = ("not stated", "not audited", "not recorded")  # how a card says that it does not know


def licence(front: dict[str, Any]) -> str:
    """The licence that a card states; "" if it states none."""
    given = front.get("license")
    named = str(given[0] if isinstance(given, list) and given else given or "")
    if named == "other":
        named = (
            f"other: {front['license_name']}"
            if front.get("license_name") and front.get("license_link")
            else ""
        )
    return "" if named == card.UNKNOWN else named


def card_faults(folder: Path, front: dict[str, Any]) -> list[str]:
    """What a card must have and lacks."""
    if not (folder / card.CARD).is_file():
        return [f"{card.CARD} is missing: the folder has no card"]
    if not front:
        return [f"{card.CARD} has no front matter; write one between two lines of ---"]
    given = front.get("license")
    if not isinstance(given, str | list | None) or (
        isinstance(given, list) and not all(isinstance(one, str) for one in given)
    ):
        return [f"{card.CARD} states the licence {given!r}, which is no text; give an id of the hub"]
    if not licence(front):
        return [
            f"{card.CARD} states no licence; write `license:` into its front matter (`other` with"
            " license_name and license_link), or export again with --license"
        ]
    return []


def gaps(folder: Path, kind: str, front: dict[str, Any]) -> list[str]:
    """What a card should say and does not."""
    path = folder / card.CARD
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    lacking = [f"its front matter has no {name}" for name in WANTED[kind] if not front.get(name)]
    told = [line for line in lines if any(gap in line.lower() for gap in GAPS)]
    return lacking + [shortened(": ".join(cells(line)), 160) for line in told] + leaks(lines)


def leaks(lines: list[str]) -> list[str]:
    """Lines of a card that would show others a key or a place on this machine."""
    told = [
        f"line {number} holds what looks like a key ({found[0][:6]}…)"
        for number, line in enumerate(lines, 1)
        if (found := SECRET.search(line))
    ]
    return told + [
        f"line {number} names a place on a machine ({shortened(found[0], 80)})"
        for number, line in enumerate(lines, 1)
        if (found := places.HOME.search(line))
    ]


def cells(line: str) -> list[str]:
    """A line of a card, or the cells of a table's row."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]
