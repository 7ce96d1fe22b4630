"""Reading a published `worst_group.json`, and what every table of its figures says."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fairgen.core import schemas
from fairgen.core.errors import FairgenError

SCHEMA_VERSION = 3  # of worst_group.json
REPLICATES_VERSION = 1  # of replicates.json
METRICS = (  # the figures of a method; null where the test rows do not define one
    "worst_group_accuracy",
    "average_accuracy",
    "balanced_accuracy",
    "train_weighted_accuracy",
    "bias_conflicting_accuracy",
    "equalized_odds_difference",
    "demographic_parity_difference",
    "auroc",
    "expected_calibration_error",
)
SHIFTED = ("worst_group_accuracy", "balanced_accuracy", "average_accuracy")  # on the second test set
VERSIONS = {"worst_group": SCHEMA_VERSION, "replicates": REPLICATES_VERSION}


MISSING = {  # what it means that a group has no row in a split
    "train": "no training image, so no method has seen a real one",
    "validation": "no validation image, so the selection of weights did not see it",
    "test": "no test image, so no figure speaks about it",
}

EMBEDDED = "fairgen:embedded/weights/diffusion"
ITS_WORLD = "birds"  # the format of the data that it was trained for
TRIAL = (
    "A trial: the generator is fairgen's embedded model, which has seen only drawings of birds. These figures"
    " say nothing about the methods on these data, only that the data pass through every stage"
)


def empty_groups(methods: dict[str, Any]) -> dict[str, list[str]]:
    """The groups of a ratio without rows, split by split; its methods share the split."""
    return next(iter(methods.values()))["empty_groups"]


def missing(empty: dict[str, list[str]]) -> list[str]:
    """One line for each split in which groups have no row."""
    return [f"group {', '.join(empty[split])}: {what}" for split, what in MISSING.items() if empty[split]]


def trial(document: dict[str, Any]) -> str:
    """What is to be said first of a comparison whose images fairgen's embedded model has drawn for data of
    another world than its own, as `fairgen init` writes it for a trial; "" for every other one.
    """
    config = document.get("config", {})
    data = config.get("dataset", {})
    base = {**config.get("diffusion", {}), **data.get("settings", {}).get("diffusion", {})}.get("model")
    compared = next(iter(document["results"].values()))
    draws = any(_said(config.get("methods", {}), name, "synthetic", True) for name in compared)
    return TRIAL if base == EMBEDDED and data.get("format") != ITS_WORLD and draws else ""


def ceilings(config: dict[str, Any], compared: Iterable[str]) -> list[str]:
    """The compared methods that only show what could be had, as the config of a comparison says."""
    return [name for name in compared if _said(config.get("methods", {}), name, "ceiling", False)]


def _said(methods: dict[str, Any], name: str | None, key: str, otherwise: bool) -> bool:
    """What a method, or the nearest of its bases that says so, has for a switch."""
    while name in methods:
        given = methods[name] or {}
        if key in given:
            return bool(given[key])
        name = given.get("base")
    return otherwise


def in_order(ratios: Iterable[str]) -> list[str]:
    """Bias ratios as text, the smallest first; `natural`, which cuts nothing, before them."""
    return sorted(ratios, key=lambda ratio: 0 if ratio == "natural" else float(ratio))


def load(path: Path, kind: str = "worst_group") -> dict[str, Any]:
    """Read a result file: `worst_group` or `replicates`.

    Raises:
        FairgenError: there is no such file, it is no result, one of another schema version, or it contradicts
            itself.
    """
    from fairgen.evaluate import consistency  # its scipy is only for who reads a result

    try:
        document = json.loads(path.read_text())
    except OSError as error:
        raise FairgenError(f"cannot read {path}: {error.strerror}; give the path of a {kind}.json") from error
    except (ValueError, RecursionError) as error:
        raise FairgenError(f"{path} is not JSON ({error}); give the path of a {kind}.json") from error
    found = document.get("schema_version") if isinstance(document, dict) else None
    if isinstance(document, dict) and ("replicates" in document) != (kind == "replicates"):
        raise FairgenError(f"{path} is no {kind}.json; give the path of one")
    if found != VERSIONS[kind]:
        raise FairgenError(
            f"{path}: schema_version is {found}, this fairgen reads {VERSIONS[kind]}; make the file again"
            " with this version"
        )
    schemas.check(document, schemas.published(kind), str(path))
    compared = next(iter(document["results"].values()))
    known = ceilings(document["config"], compared) if kind == "worst_group" else document.get("ceilings")
    consistency.check(document, kind, str(path), known)
    return document
