"""JSON files of a result, which may come from another machine or an editor."""

import json
from pathlib import Path
from typing import Any

from fairgen.core import records, schemas
from fairgen.core.errors import FairgenError

RECORD = {"type": "object", "properties": {key: {"type": "string"} for key in ("hash", "sources", "data")}}


def check_record(file: Path, document: dict[str, Any]) -> None:
    """What a document says of its lineage is of the right kinds.

    Raises:
        FairgenError: it is not.
    """
    if wrong := schemas.problems(document.get(records.KEY, {}), RECORD, f"{file}: {records.KEY}"):
        raise FairgenError(f"{wrong[0]}: the file was changed; make it again")


def contents(file: Path) -> dict[str, Any]:
    """What a JSON file says, without its lineage.

    Raises:
        FairgenError: it is damaged.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("no block of keys")
    except ValueError as error:
        raise FairgenError(f"{file} is damaged ({error}); call snakemake again") from error
    return {key: value for key, value in found.items() if key != records.KEY}
