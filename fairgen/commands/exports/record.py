"""Where an exported folder came from, and what belongs to it: `fairgen.json`.

By it `fairgen push` knows a folder of ours, and finds files that are missing or were changed.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from fairgen import __version__
from fairgen.commands.exports.card import CARD
from fairgen.core import records, schemas
from fairgen.core.errors import FairgenError

RECORD = "fairgen.json"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["generator", "classifier", "dataset"]},
        "repository": {"enum": ["model", "dataset"]},
        "files": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
DEPTH = 4  # of a result below the results: data set, scope, method, file


def sha256(path: Path) -> str:
    """Hash of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files(folder: Path) -> list[Path]:
    """The files below a folder but its record, in order."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and p != folder / RECORD)


def within_results(source: Path) -> str:
    """The place of a file in the results, without what lies above them on this machine.

    They begin at the last folder of that name that has a data set, a scope, a method and a file below it.
    """
    parts = list(source.parts)
    starts = [i for i, name in enumerate(parts) if name == "results" and len(parts) - i > DEPTH]
    return "/".join(parts[starts[-1] if starts else -1 :])


def write(folder: Path, kind: str, source: Path, repository: str, more: dict[str, Any]) -> None:
    """Write the record of a finished folder.

    Args:
        folder: the folder.
        kind: generator, classifier or dataset.
        source: what was exported.
        repository: model or dataset, as the hub has them.
        more: other facts.
    """
    made = records.read(source.with_name(source.name.partition("#")[0]))
    document = {
        "fairgen": __version__,
        "kind": kind,
        "repository": repository,
        "source": within_results(source),
        "lineage": {name: made[name] for name in ("hash", "stage", "code") if name in made} if made else None,
        **more,
        "files": {p.relative_to(folder).as_posix(): sha256(p) for p in files(folder)},
    }
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / RECORD).write_text(text + "\n", "utf-8")


def read(folder: Path) -> dict[str, Any] | None:
    """The record of a folder; None where there is none.

    Raises:
        FairgenError: it is damaged.
    """
    try:
        found = json.loads((folder / RECORD).read_text("utf-8"))
        if not {"kind", "repository", "files"} <= found.keys():
            return None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as error:
        raise FairgenError(f"{folder / RECORD} is damaged; export the folder again") from error
    if wrong := schemas.problems(found, SCHEMA, str(folder / RECORD)):
        raise FairgenError(f"{wrong[0]}: it was changed; export the folder again")
    return found


def faults(folder: Path, found: dict[str, Any]) -> list[str]:
    """Files that are missing or were changed since the export; the card is there to be edited."""
    told = []
    for name, digest in found["files"].items():
        if not (folder / name).is_file():
            told.append(f"{name} is missing")
        elif name != CARD and sha256(folder / name) != digest:
            told.append(f"{name} was changed since the export")
    return told
