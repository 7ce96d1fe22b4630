"""From what a file says about itself (raw attributes) to its target and bias value, as the config asks."""

from dataclasses import dataclass, field

from fairgen.errors import FairgenError
from fairgen.formats import Reject, Row


@dataclass(frozen=True)
class Attribute:
    """One attribute of the data and the names of its values; without `values` and `ranges` its own words are the names."""

    attribute: str
    values: dict[str, list[str]] = field(default_factory=dict)  # name → the data's own words
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)  # name → lowest and highest number, both included

    def name(self, raw: str) -> str | None:
        """The name of a raw value; None for one that the config does not ask for."""
        if self.ranges:
            number = as_number(raw)
            return next((n for n, (low, high) in self.ranges.items() if number is not None and low <= number <= high), None)
        if self.values:
            return next((name for name, words in self.values.items() if raw in words), None)
        return raw

    def asked(self) -> str:
        """What the config asks for, in words."""
        if self.ranges:
            return ", ".join(f"{name} {low:g}-{high:g}" for name, (low, high) in self.ranges.items())
        return ", ".join(f"{name} ({', '.join(words)})" for name, words in self.values.items())


def as_number(raw: str) -> float | None:
    """A number, or None."""
    try:
        return float(raw)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Labelled:
    """A row with its labels; `target` or `bias` is None for a value that the config does not ask for, told in `outside`."""

    path: str
    target: str | None
    bias: str | None
    split: str
    detail: str
    outside: str = ""


def combined(row: Row, wanted: list[Attribute]) -> tuple[str | None, str]:
    """The combined value of some attributes, `female+Asian`, and why there is none."""
    names = []
    for one in wanted:
        if one.attribute not in row.attributes:
            raise FairgenError(
                f"config: the data has no attribute '{one.attribute}'; {row.path} has {', '.join(row.attributes) or 'none'}"
            )
        raw = row.attributes[one.attribute]
        name = one.name(raw)
        if name is None:
            return None, f"{one.attribute} is in no value of the config: '{raw}' (asked for: {one.asked()})"
        names.append(name)
    return "+".join(names), ""


def label(row: Row, target: list[Attribute], bias: list[Attribute]) -> Labelled | Reject:
    """Name a row's target and bias value.

    Raises:
        FairgenError: the data lacks an attribute that the config names.
    """
    empty = next((one.attribute for one in (*target, *bias) if row.attributes.get(one.attribute) == ""), None)
    if empty:
        return Reject(row.path, f"label is missing: {empty} is empty")
    (kind, why), (place, why_not) = combined(row, target), combined(row, bias)
    return Labelled(row.path, kind, place, row.split, row.detail, why or why_not)
