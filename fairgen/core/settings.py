"""Settings travel as one canonical JSON string; each stage reads it into a small dataclass that checks
itself.
"""

import dataclasses
import json
from typing import Any, ClassVar, Protocol, TypeVar, get_args, get_origin, get_type_hints

from fairgen.core.errors import FairgenError


class Dataclass(Protocol):
    """Any dataclass, for type checkers."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


T = TypeVar("T", bound=Dataclass)


def canonical(value: Any) -> str:
    """Canonical JSON: sorted keys, integral floats as integers, so that `1` and `1.0` are one setting."""
    return json.dumps(integral(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def integral(value: Any) -> Any:
    """A value with integral floats as integers, throughout."""
    if isinstance(value, dict):
        return {str(k): integral(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [integral(v) for v in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def read(cls: type[T], values: dict[str, Any], where: str = "settings") -> T:
    """Build the dataclass `cls` from `values`.

    Raises:
        FairgenError: a key is missing or unknown.
    """
    hints, names = get_type_hints(cls), {f.name for f in dataclasses.fields(cls)}
    required = {
        f.name
        for f in dataclasses.fields(cls)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    }
    for key in sorted(values.keys() - names):
        raise FairgenError(f"{where}: unknown key '{key}'; known keys are {', '.join(sorted(names))}")
    for key in sorted(required - values.keys()):
        raise FairgenError(f"{where}: key '{key}' is missing")
    return cls(**{k: _convert(hints[k], v, f"{where}.{k}") for k, v in values.items()})


def _convert(kind: Any, value: Any, where: str) -> Any:
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return read(kind, value, where)
    if get_origin(kind) is dict and dataclasses.is_dataclass(get_args(kind)[1]):
        return {k: read(get_args(kind)[1], v, f"{where}.{k}") for k, v in value.items()}
    if get_origin(kind) is list and dataclasses.is_dataclass(get_args(kind)[0]):
        return [read(get_args(kind)[0], v, f"{where}.{i}") for i, v in enumerate(value)]
    if kind is float and isinstance(value, int):
        return float(value)
    return tuple(value) if get_origin(kind) is tuple and isinstance(value, list) else value
