"""Documents checked against JSON Schemas (draft 2020-12): the config, and the result files that fairgen
publishes.

What is wrong is told all at once, a line each, with the key's full name and what to write instead.
"""

import copy
import json
import math
import re
from collections.abc import Iterator
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any

from fairgen.core.errors import FairgenError

KINDS = {
    **{
        "object": "a block of keys",
        "array": "a list",
        "string": "text",
        "number": "a number",
        "integer": "a whole number",
    },
    **{"boolean": "true or false", "null": "null"},
}


def check(document: Any, schema: dict[str, Any], name: str) -> None:
    """Check a document against its schema.

    Raises:
        FairgenError: one line for each offending key.
    """
    if found := problems(document, schema, name):
        raise FairgenError("\n".join(found))


def problems(document: Any, schema: dict[str, Any], name: str) -> list[str]:
    """What is wrong with a document, a line each."""
    if wrong := [f"{name}: {where}" for where in (*odd_keys(document), *odd_numbers(document))]:
        return wrong
    from jsonschema import Draft202012Validator

    errors = sorted(
        Draft202012Validator(schema).iter_errors(document),
        key=lambda error: list(map(str, error.absolute_path)),
    )
    told = {
        dotted(error.absolute_path, key)
        for error in errors
        if error.validator == "additionalProperties" and error.validator_value is False
        for key in misspelt(error).values()
    }
    return list(dict.fromkeys(f"{name}: {line}" for error in errors for line in lines(error, name, told)))


def meant(document: Any, schema: dict[str, Any]) -> Any:
    """A document with its misspelt keys and words as they are probably meant; None if it is not valid then.

    What else is wrong with it can be found there, so that a typo hides nothing.
    """
    from jsonschema import Draft202012Validator

    if [*odd_keys(document), *odd_numbers(document)]:
        return None
    mended = copy.deepcopy(document)
    for error in Draft202012Validator(schema).iter_errors(document):
        place = mended
        for key in list(error.absolute_path)[: -1 if error.validator == "enum" else None]:
            place = place[key]
        if error.validator == "additionalProperties" and error.validator_value is False:
            likely = misspelt(error)
            for key in [key for key in place if key not in error.schema["properties"]]:
                found = place.pop(key)  # also one that is beside the right key
                if key in likely:
                    place[likely[key]] = found
        elif error.validator == "enum" and (
            near := get_close_matches(str(error.instance), error.validator_value, 1)
        ):
            place[error.absolute_path[-1]] = near[0]
    return mended if Draft202012Validator(schema).is_valid(mended) else None


def misspelt(error: Any) -> dict[str, str]:
    """Unknown keys of a block with the keys that they are probably meant to be, which the block lacks."""
    value, known = error.instance, error.schema.get("properties", {})
    near = {
        key: get_close_matches(key, [k for k in known if k not in value], 1)
        for key in value
        if key not in known
    }
    return {key: found[0] for key, found in near.items() if found}


def odd_keys(value: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield a line for every key that YAML does not read as text, as in `yes: 1`."""
    if isinstance(value, list):
        value = dict(zip(map(str, range(len(value))), value, strict=True))
    for key, inner in value.items() if isinstance(value, dict) else ():
        if not isinstance(key, str):
            quoted = "" if isinstance(key, bool) else f', as "{key}"'
            yield (
                f"{dotted(path, key)}: YAML reads this key as {spoken(key)}, not as text; write it in"
                f" quotes{quoted}"
            )
        yield from odd_keys(inner, (*path, str(key)))


def odd_numbers(value: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield a line for every number that is not finite."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from odd_numbers(one, (*path, str(key)))
    if isinstance(value, float) and not isfinite(value):
        yield f"{dotted(path)}: {value} is no number to compute with; give a finite one"


def dotted(path: Any, *more: Any) -> str:
    """A key's full name."""
    return ".".join(map(str, (*path, *more))) or "the top level"


def spoken(value: Any) -> str:
    """A value with its kind in words, as YAML has read it."""
    names: dict[type, str] = {
        bool: f"the truth value {str(value).lower()}",
        type(None): "nothing (null)",
        str: f"the text '{value}'",
    }
    shown = str(value) if len(str(value)) < 60 else f"{str(value)[:57]}..."
    kinds: dict[type, str] = {dict: "a block of keys", list: f"the list {shown}"}
    return names.get(type(value)) or kinds.get(type(value)) or f"the number {value}"


def nearest(word: Any, known: Any) -> str:
    """The known word that another one is probably meant to be, as a question; else all of them."""
    near = get_close_matches(str(word), [str(k) for k in known], 1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(map(str, known)) or 'none'}"


def lines(error: Any, name: str, told: set[str]) -> list[str]:
    """One violation in words; a line for each key where it is about keys.

    Args:
        error: of the validator.
        name: the document's.
        told: full names of missing keys that stand there misspelt, which their unknown keys tell.
    """
    path, value, wanted = error.absolute_path, error.instance, error.validator_value
    if error.validator == "additionalProperties" and wanted is False:
        known, own = error.schema["properties"], misspelt(error)
        hints = {
            k: f"did you mean {own[k]}?" if k in own else nearest(k, known) for k in value if k not in known
        }
        return [f"{dotted(path, k)}: unknown key; {hint}" for k, hint in hints.items()]
    if error.validator == "required":
        remedy = "the key is missing" + (
            "; add it, as in fairgen's own config.yaml" if name == "config" else ""
        )
        return [
            f"{dotted(path, k)}: {remedy}" for k in wanted if k not in value and dotted(path, k) not in told
        ]
    if error.validator == "type":
        return [f"{dotted(path)}: {mistyped(value, wanted)}"]
    if error.validator == "enum":
        return [f"{dotted(path)}: '{value}' is none of {', '.join(map(str, wanted))}; write one of them"]
    if error.validator == "pattern" and "description" in error.schema:
        return [f"{dotted(path)}: '{value}' does not do: {error.schema['description']}"]
    if error.validator in ("maximum", "exclusiveMaximum") and wanted == 1 and 2 <= value <= 100:
        return [
            f"{dotted(path)}: {value} is over 1, and a share of 1 is expected; write {value / 100:g} for"
            f" {value} percent"
        ]
    if error.validator == "const":
        return [f"{dotted(path)}: this is {spoken(value)}{number(value) or f'; write {wanted} or a number'}"]
    if error.validator == "minItems":
        return [f"{dotted(path)}: {len(value)} given, and {wanted} at least are needed; add to them"]
    return [f"{dotted(path)}: {error.message}; change it"]


def mistyped(value: Any, wanted: str | list[str]) -> str:
    """A value of the wrong kind, and what to write."""
    kinds = [wanted] if isinstance(wanted, str) else wanted
    expected = " or ".join(KINDS[kind] for kind in kinds)
    if isinstance(value, str) and {"number", "integer"} & set(kinds):
        return f"YAML reads '{value}' as text, and {expected} is expected{number(value) or '; give that'}"
    if "array" in kinds and isinstance(value, str | int | float):
        return f"this is {spoken(value)}, and {expected} is expected; write it in brackets, as [{value}]"
    if isinstance(value, bool | int | float) and "string" in kinds:
        return (
            f"this is {spoken(value)}, and {expected} is expected; write it in quotes, as"
            f' "{str(value).lower()}"'
        )
    return f"this is {spoken(value)}, and {expected} is expected; give that"


def number(text: Any) -> str:
    """How YAML wants a number written that it has read as text: `1e-4` as 1.0e-4; "" for another text."""
    try:
        value = float(text)
    except (TypeError, ValueError):
        return ""
    if not math.isfinite(value) or (not value and re.search("[1-9]", str(text).lower().split("e")[0])):
        return f"; {text} is no number that a computer holds, give another"
    if "e" not in str(text).lower():
        return f"; write {text} without quotes"
    mantissa, exponent = f"{value:.6e}".split("e")
    mantissa = mantissa.rstrip("0")
    return f"; write {mantissa}{'0' if mantissa.endswith('.') else ''}e{int(exponent):+d}"


def published(stage: str) -> dict[str, Any]:
    """The schema of a stage's result file, which ships with the package."""
    return json.loads((Path(__file__).parents[1] / "evaluate" / f"{stage}.schema.json").read_text())
