"""Before the first job: captions and boxes that a finetune asks for are named, and are in the data."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from fairgen.core.errors import FairgenError
from fairgen.core.schemas import nearest
from fairgen.data import formats
from fairgen.workflow.preflight.findings import NOTE, Case, Finding

LOOKED_AT = 1000  # rows of a table


def asked(case: Case) -> Iterator[Finding]:
    """What a method asks for, the data set names; captions are not for text encoders that are trained."""
    unnamed = f"on {case.dataset}, and datasets.{case.dataset} names no"
    for methods, (captions,) in case.sharing(case.adapting, "adapt.captions"):
        if captions and "caption" not in case.data:
            yield Finding(
                f"config: adapt.captions: {captions:g} for {methods} {unnamed} caption; write there which"
                " attribute of the data holds the captions, or set captions: 0"
            )
    for methods, (crop,) in case.sharing(case.adapting, "adapt.crop"):
        if crop == "box" and "box" not in case.data:
            yield Finding(
                f"config: adapt.crop: box for {methods} {unnamed} box; write there the attributes of its"
                " left, top, width and height, or set crop: centre"
            )
    for methods, (adapt,) in case.sharing(case.adapting, "adapt"):
        if adapt["captions"] and adapt[adapt["kind"]]["text_lr"]:
            yield Finding(
                f"config: adapt.captions: captions are encoded once, and adapt.{adapt['kind']}.text_lr of"
                f" {methods} trains the text encoders; set one of them to 0"
            )


def columns(case: Case) -> Iterator[Finding]:
    """Captions and boxes are columns of a label table, and not all empty; of other formats the first job
    tells.
    """
    keys = {key: case.data[key] for key in ("caption", "box") if key in case.data}
    path = Path(case.data["root"], case.data["options"].get("file", ""))
    if not keys or case.data["format"] != "table" or not path.is_file():
        return
    try:
        content = formats.reader("table").content(path, ())
        rows = [row[1] for row in islice(content, LOOKED_AT) if not isinstance(row, formats.Reject)]
    except FairgenError:  # told by the first job, with what it needs of the table
        return
    for key, named in keys.items():
        for name in [named] if key == "caption" else named:
            yield from column(f"config: datasets.{case.dataset}.{key}", path, name, rows)


def column(where: str, path: Path, name: str, rows: list[dict[str, Any]]) -> Iterator[Finding]:
    """One column is there, and something is in it."""
    if rows and name not in rows[0]:
        yield Finding(f"{where}: {path} has no column '{name}'; {nearest(name, rows[0])}")
    elif rows and not any(row[name].strip() for row in rows):
        yield Finding(f"{where}: the column '{name}' of {path} is empty in its first {len(rows)} rows", NOTE)
