"""From what a file says about itself (raw attributes) to its target and bias value, as the config asks."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Any

from fairgen.core.errors import FairgenError, shortened
from fairgen.data.beside import Beside
from fairgen.data.formats import Reject, Row, composed, plain

NUMBER = re.compile(r" *[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)? *")


@dataclass(frozen=True)
class Attribute:
    """One attribute of the data and the names of its values; without `values` and `ranges` its own words are
    the names.
    """

    attribute: str
    values: dict[str, list[str]] = field(default_factory=dict)  # name → the data's own words
    # name → lowest and highest number, both included
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)

    def name(self, raw: str) -> str | None:
        """The name of a raw value; None for one that the config does not ask for."""
        if self.ranges:
            number = as_number(raw)
            return next(
                (n for n, (low, high) in self.ranges.items() if number is not None and low <= number <= high),
                None,
            )
        if self.values:
            exact = next((name for name, words in self.values.items() if raw in map(composed, words)), None)
            return exact or next(
                (name for name, words in self.values.items() if any(same(raw, w) for w in words)), None
            )
        return plain(raw)

    def asked(self) -> str:
        """What the config asks for, in words."""
        if self.ranges:
            return ", ".join(f"{name} {low:g}-{high:g}" for name, (low, high) in self.ranges.items())
        return ", ".join(f"{name} ({', '.join(words)})" for name, words in self.values.items())


def as_number(raw: str) -> float | None:
    """A number, or None."""
    return float(raw) if NUMBER.fullmatch(raw) else None


def same(one: str, other: str) -> bool:
    """Whether two words are the same, or the same number: `1` and `1.0`."""
    a, b = as_number(one), as_number(other)
    # numbers above that are names, and floats mix them up
    return one == other or (a is not None and a == b and abs(a) < 2**53)


def check(attributes: Sequence[dict[str, Any]], key: str) -> None:
    """Every word or number of the data has one name; `attributes` are those of the config, their words as
    text.

    Raises:
        FairgenError: ranges overlap or are empty, a word stands under two values, or an attribute has both.
    """
    for one in attributes:
        where, values, ranges = (
            f"config: {key}.{one['attribute']}",
            one.get("values", {}),
            one.get("ranges", {}),
        )
        if values and ranges:
            raise FairgenError(f"{where}: it has values and ranges; give one of them")
        for name, (low, high) in ranges.items():
            if not low <= high:
                raise FairgenError(
                    f"{where}.ranges.{name}: nothing is from {low:g} to {high:g}; write the lowest number"
                    " first"
                )
        for (a, (low, high)), (b, (least, most)) in combinations(ranges.items(), 2):
            if max(low, least) <= min(high, most):
                raise FairgenError(
                    f"{where}.ranges: {a} and {b} overlap from {max(low, least):g} to {min(high, most):g},"
                    " both included; end one before the other begins"
                )
        for (a, words), (b, others) in combinations(values.items(), 2):
            for word in words:
                if any(same(word, other) for other in others):
                    raise FairgenError(
                        f"{where}.values: '{word}' stands under {a} and {b}; leave it under one of them"
                    )


def check_group(attributes: Sequence[dict[str, Any]], value: str, key: str) -> None:
    """The value of a group is one that its attributes can have, as far as the config names their values.

    Raises:
        FairgenError: it is not, so that no image could be in the group.
    """
    names = [list(one.get("values") or one.get("ranges") or ()) for one in attributes]
    allowed = ["+".join(combined) for combined in product(*names)]
    if allowed and value not in allowed:
        raise FairgenError(
            f"config: {key}: no image can have '{value}'; the values of {key.split('.')[-1]} are"
            f" {', '.join(allowed)}"
        )


def check_fractions(fractions: Sequence[float], key: str) -> None:
    """The fractions of a split are all of the images, and some of them are for training.

    Raises:
        FairgenError: they are not.
    """
    if abs(sum(fractions) - 1) > 1e-6:
        raise FairgenError(
            f"config: {key}: {', '.join(f'{f:g}' for f in fractions)} sum to {sum(fractions):g}; they must"
            " sum to 1"
        )
    if not fractions[0]:
        raise FairgenError(
            f"config: {key}: no image is for training; the first of the three must be more than 0"
        )


@dataclass(frozen=True, slots=True)
class Labelled:
    """A row with its labels; `target` or `bias` is None for a value that the config does not ask for, told in
    `outside`.
    """

    path: str
    target: str | None
    bias: str | None
    split: str
    detail: dict[str, str]
    outside: str = ""
    beside: dict[str, str] = field(default_factory=dict)  # `Beside.of` the row


def combined(row: Row, wanted: list[Attribute]) -> tuple[str | None, str]:
    """The combined value of some attributes, `female+Asian`, and why there is none."""
    names = []
    for one in wanted:
        raw = row.attribute(one.attribute)
        name = one.name(raw)
        if name is None:
            return (
                None,
                f"{one.attribute} is in no value of the config: '{shortened(raw)}' (asked for:"
                f" {one.asked()})",
            )
        names.append(name)
    return "+".join(names), ""


def label(
    row: Row, target: list[Attribute], bias: list[Attribute], asked: Beside | None = None
) -> Labelled | Reject:
    """Name a row's target and bias value, and what is asked for beside them.

    Raises:
        FairgenError: the data lacks an attribute that the config names.
    """
    said = {one.attribute: row.attribute(one.attribute) for one in (*target, *bias)}
    if empty := next((name for name, value in said.items() if value == ""), None):
        return Reject(row.path, f"label is missing: {empty} is empty")
    (kind, why), (place, why_not) = combined(row, target), combined(row, bias)
    beside = asked.of(row) if asked else {}
    if isinstance(beside, Reject):
        return beside
    return Labelled(row.path, kind, place, row.split, row.detail, why or why_not, beside)


def spoken(words: dict[str, Counter], shown: int = 8) -> str:
    """The data's own words for some attributes with their counts: `gender: 1.0 (12), 0.0 (7)`."""
    listed = []
    for name, counts in ((name, counts) for name, counts in words.items() if counts):
        most = ", ".join(f"{shortened(word) or 'nothing'} ({n})" for word, n in counts.most_common(shown))
        listed.append(f"{name}: {most}{f' and {len(counts) - shown} more' if len(counts) > shown else ''}")
    return "; ".join(listed)
