"""Reading a published `worst_group.json`."""

import json
from pathlib import Path
from typing import Any

from fairgen import schemas
from fairgen.errors import FairgenError

SCHEMA_VERSION = 2  # of worst_group.json


def load(path: Path) -> dict[str, Any]:
    """Read a result file.

    Raises:
        FairgenError: there is no such file, it is no result, or one of another schema version.
    """
    try:
        document = json.loads(path.read_text())
    except OSError as error:
        raise FairgenError(f"cannot read {path}: {error.strerror}; give the path of a worst_group.json") from error
    except ValueError as error:
        raise FairgenError(f"{path} is not JSON ({error}); give the path of a worst_group.json") from error
    found = document.get("schema_version") if isinstance(document, dict) else None
    if found != SCHEMA_VERSION:
        raise FairgenError(
            f"{path}: schema_version is {found}, this fairgen reads {SCHEMA_VERSION}; make the file again with this version"
        )
    schemas.check(document, schemas.published("worst_group"), str(path))
    return document
