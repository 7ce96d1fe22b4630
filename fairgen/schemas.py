"""Documents checked against JSON Schemas (draft 2020-12): the config, and the result files that fairgen publishes."""

import json
from pathlib import Path
from typing import Any

from fairgen.errors import FairgenError


def check(document: Any, schema: dict[str, Any], name: str) -> None:
    """Check a document against its schema.

    Raises:
        FairgenError: names the document and its first offending key.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(schema).iter_errors(document))
    if error is not None:
        where = ".".join(str(part) for part in error.absolute_path) or "the top level"
        raise FairgenError(f"{name}: {where}: {error.message}")


def published(stage: str) -> dict[str, Any]:
    """The schema of a stage's result file, which ships with the package."""
    return json.loads((Path(__file__).parent / f"{stage}.schema.json").read_text())
