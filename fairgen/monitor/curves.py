"""Curves of a training in a small file beside its artifact: means over equal parts of the run, figures of
each look, sample images.
"""

import json
import math
from pathlib import Path
from typing import Any

from fairgen.core import schemas
from fairgen.core.errors import FairgenError
from fairgen.core.workfolder import place

POINTS = 200  # of a curve, at most
SUFFIX = ".curves.json"
CURVES = {"type": "object", "additionalProperties": {"type": "array", "items": {"type": ["number", "null"]}}}
STEPS = {"type": "array", "items": {"type": "number"}}
SAMPLE = {
    "type": "object",
    "properties": {
        "step": {"type": "number"},
        "images": {"type": "array", "items": {"type": "string"}},
        "near_copies": {"type": "number"},
        "near_copies_held_out": {"type": ["number", "null"]},
    },
    "required": ["step", "images", "near_copies"],
}
RUN = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "phase": {"type": "string"},
        "steps": {"type": "integer"},
        "training": {**CURVES, "properties": {"step": STEPS}},
        "looks": {**CURVES, "properties": {"step": STEPS}},
        "samples": {"type": "array", "items": SAMPLE},
    },
    "required": ["name", "phase", "training", "looks"],
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"done": {"type": "boolean"}, "runs": {"type": "array", "items": RUN}},
    "required": ["runs"],
}


def beside(artifact: Path) -> Path:
    """The curves' file of an adapter or a classifier."""
    return artifact.with_suffix(SUFFIX)


def read(artifact: Path, lineage: str) -> dict[str, Any] | None:
    """The curves of an artifact; None if there are none, or they are of another lineage's training.

    Raises:
        FairgenError: they are of this training, and damaged.
    """
    try:
        found = json.loads(beside(artifact).read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or found.get("lineage") != lineage:
        return None
    wrong = schemas.problems(found, SCHEMA, str(beside(artifact))) or uneven(found, beside(artifact))
    if wrong:
        raise FairgenError(f"{wrong[0]}: the curves were changed; delete the file, it is no part of a result")
    return found


def uneven(found: dict[str, Any], path: Path) -> list[str]:
    """Curves that have not a value for each of their steps, a line each."""
    return [
        f"{path}: runs.{number}.{part}.{name} has {len(values)} values for"
        f" {len(run[part].get('step', []))} steps"
        for number, run in enumerate(found["runs"])
        for part in ("training", "looks")
        for name, values in run[part].items()
        if len(values) != len(run[part].get("step", []))
    ]


def partial(found: dict[str, Any]) -> str:
    """That curves are of a training which was interrupted, and not gone on with under the same watch; "" for
    whole ones.
    """
    return "" if found.get("done", True) else "its training was interrupted, and the rest was not watched"


def write(path: Path, document: dict[str, Any]) -> None:
    """Write the whole file or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(document, allow_nan=False) + "\n")
    place(temporary, path)


def number(value: float) -> float | None:
    """A number as JSON can have it; None for one that is not finite."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def begun(name: str, phase: str, steps: int) -> dict[str, Any]:
    """One model's curves before the first step."""
    empty: dict[str, list[Any]] = {"step": [], "loss": [], "gradient_norm": [], "lr": []}
    about = {"name": name, "phase": phase, "steps": steps}
    return {**about, "training": empty, "looks": [], "samples": [], "open": [0, 0.0, 0.0, 0]}


def width(steps: int) -> int:
    """Steps of which a point is the mean."""
    return max(1, math.ceil(steps / POINTS))


def add(run: dict[str, Any], step: int, loss: float, norm: float | None, rate: float) -> None:
    """Take in a step; a point is made when its part of the run is whole. `norm` is None where it was not
    computed.
    """
    count, losses, norms, known = run["open"]
    count, losses = count + 1, losses + loss
    if norm is not None:
        norms, known = norms + norm, known + 1
    run["open"] = [count, losses, norms, known]
    if step % width(run["steps"]) == 0 or step == run["steps"]:
        curve, run["open"] = run["training"], [0, 0.0, 0.0, 0]
        point = (step, number(losses / count), number(norms / known) if known else None, number(rate))
        for key, value in zip(("step", "loss", "gradient_norm", "lr"), point, strict=True):
            curve[key].append(value)


def told(run: dict[str, Any]) -> dict[str, Any]:
    """A run as the file has it: figures of the looks as curves."""
    names = list(dict.fromkeys(name for look in run["looks"] for name in look))
    looks = {name: [look.get(name) for look in run["looks"]] for name in names}
    return {**{key: value for key, value in run.items() if key != "open"}, "looks": looks}
