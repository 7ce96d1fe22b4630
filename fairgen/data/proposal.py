"""A proposal for a data set's entry: which attribute is the target, which one biases it, and the groups of
both with roles, donors and prompts.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from fairgen.core.errors import FairgenError
from fairgen.data.formats import plain
from fairgen.data.label_tables import names_split
from fairgen.data.labels import Attribute, as_number
from fairgen.data.recognition import Seen

MOST = 12  # values that an attribute may have to name classes by its words
RARE = 0.005  # share of the images below which a value is left out of a proposal
TARGETS = (
    "target",
    "label",
    "class",
    "y",
    "category",
    "diagnosis",
    "kind",
)  # usual names of what is classified
FEW = 20  # images of a group below which generators and figures mean little
YES = {"1", "true", "yes", "y"}
NO = {"-1", "0", "false", "no", "n"}
NOTHING = {"nan", "null", "n/a", "#n/a"}  # how programs write that nothing is known
SIGNS = {
    **{"+": " plus ", "#": " sharp ", "<": " under ", ">": " over ", "=": " equal "},
    **{"%": " percent ", "&": " and "},
}


def block(of: Attribute) -> dict[str, Any]:
    """An attribute in a config."""
    more = {"values": of.values, "ranges": {name: list(ends) for name, ends in of.ranges.items()}}
    return {"attribute": of.attribute, **{key: value for key, value in more.items() if value}}


def choice(seen: Seen, name: str) -> Attribute | None:
    """How an attribute can name classes: its words, yes and no, or two ranges of many numbers cut at the
    median; None where it cannot.
    """
    counts, total = seen.counts(name), len(seen.rows)
    words = [w for w, n in counts.most_common() if n >= RARE * total and w.strip().lower() not in NOTHING]
    if len({plain(word) for word in words}) < 2:
        return None
    lower = {word: plain(word).lower() for word in words}
    if set(lower.values()) <= YES | NO and len(set(lower.values())) == 2:
        sides = {
            slug(name) or "yes": [word for word in words if lower[word] in YES],
            f"no-{slug(name)}".strip("-"): [word for word in words if lower[word] in NO],
        }
        return Attribute(name, sides) if all(sides.values()) else None
    numbers = {word: as_number(word) for word in counts}
    known = [number for number in numbers.values() if number is not None]
    codes = len(known) <= MOST and all(number.is_integer() for number in known)  # of classes
    if len(words) > 3 and len(known) == len(numbers) and not codes:
        return in_two(name, counts, numbers)
    if len(words) > MOST or sum(counts[word] for word in words) < 0.5 * sum(counts.values()):
        return None
    same: dict[str, list[str]] = {}
    for word in words:
        same.setdefault(plain(word), []).append(word)
    return Attribute(name, dict(zip(different([*same]), same.values(), strict=True)))


def in_two(name: str, counts: Counter, numbers: dict[str, float | None]) -> Attribute | None:
    """Two ranges of an attribute of numbers, each with about half of the images."""
    ordered = sorted((number, counts[word]) for word, number in numbers.items() if number is not None)
    half, passed, cut = sum(counts.values()) / 2, 0, 1
    for i, (_, count) in enumerate(ordered[:-1], 1):
        if passed + count / 2 > half:
            break
        passed, cut = passed + count, i
    low, high = ordered[:cut], ordered[cut:]
    if not low or not high:
        return None
    return Attribute(name, ranges={"low": (low[0][0], low[-1][0]), "high": (high[0][0], high[-1][0])})


def slug(word: str) -> str:
    """A word as part of a group's name: accents are dropped, and signs that tell words apart are spelt."""
    minus = re.sub(r"(?<=\w)-+$", " minus", re.sub(r"^-(?=[0-9])", "minus ", word))
    spelt = "".join(SIGNS.get(letter, letter) for letter in minus)
    ascii_only = unicodedata.normalize("NFKD", spelt).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "-", ascii_only).strip("-")


def different(words: Sequence[str], last_resort: str = "value") -> list[str]:
    """A name for each of some words, none of them twice: what looks alike is numbered."""
    found: list[str] = []
    for word in words:
        own = slug(word) or last_resort
        candidates = (own, *(f"{own}-{n}" for n in range(2, len(words) + 2)))
        found.append(next(name for name in candidates if name not in found))
    return found


def association(seen: Seen, one: Attribute, other: Attribute) -> float:
    """Cramér's V of two attributes: 0 where one says nothing of the other, 1 where it says all."""
    table = crossed(seen, one, other)
    names, others = ({pair[i] for pair in table} for i in (0, 1))
    counts = np.array([[table[(a, b)] for b in sorted(others)] for a in sorted(names)], dtype=float)
    if min(counts.shape, default=0) < 2:
        return 0.0
    expected = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / counts.sum()
    squares = ((counts - expected) ** 2 / expected).sum() / counts.sum()
    return float(np.sqrt(squares / (min(counts.shape) - 1)))


def crossed(seen: Seen, one: Attribute, other: Attribute) -> Counter:
    """How many images have each pair of values."""
    found: Counter = Counter()
    raw = Counter((row.get(one.attribute, ""), row.get(other.attribute, "")) for row in seen.rows)
    for (a, b), count in raw.items():
        found[(one.name(a), other.name(b))] += count
    return Counter({pair: count for pair, count in found.items() if all(pair)})


def choices(seen: Seen) -> dict[str, Attribute]:
    """The attributes that can name classes."""
    found = {name: choice(seen, name) for name in seen.attributes}
    return {name: own for name, own in found.items() if own}


def chosen(seen: Seen, name: str, key: str) -> Attribute:
    """An attribute that the user names.

    Raises:
        FairgenError: the data has none of that name, or it cannot name classes.
    """
    if name not in seen.attributes:
        raise FairgenError(
            f"{key}: the data has no attribute '{name}'; known are {', '.join(seen.attributes)}"
        )
    found = choice(seen, name)
    if found is None:
        counts = seen.counts(name)
        examples = ", ".join(word for word, _ in counts.most_common(3)) or "nothing"
        raise FairgenError(
            f"{key}: '{name}' has {len(counts)} values ({examples}), of which no classes can be made; name"
            " another attribute, or write values or ranges into the entry by hand"
        )
    return found


def proposed(seen: Seen, target: str | None, bias: str | None) -> tuple[Attribute, Attribute]:
    """Target and bias: what the user names, else the attribute with a usual name, or the first, and the one
    that says most about it.

    Raises:
        FairgenError: an attribute that is named cannot be used, or none is left to propose.
    """
    usable = {name: own for name, own in choices(seen).items() if not names_split(name)}
    if target is None:
        free = [name for name in usable if name != bias]
        target = next(
            (name for word in TARGETS for name in free if name.lower() == word), next(iter(free), None)
        )
    if target is None:
        raise FairgenError(
            f"none of the attributes {', '.join(seen.attributes)} has a few values that could be classes"
        )
    own = chosen(seen, target, "--target")
    if bias is None:
        strength = {name: association(seen, own, other) for name, other in usable.items() if name != target}
        # what is the same thing under another name is no bias
        candidates = {name: v for name, v in strength.items() if v < 0.999} or strength
        bias = max(candidates, key=lambda name: candidates[name], default=None)
    if bias is None:
        raise FairgenError(
            f"the data has no second attribute with a few values beside '{target}'; fairgen needs one that"
            " the classifier could lean on, in the folder names or as a column of the table"
        )
    if bias == target:
        raise FairgenError(f"--bias: '{bias}' is the target; name another attribute")
    return own, chosen(seen, bias, "--bias")


@dataclass(frozen=True)
class Group:
    """A group of the entry, and how many images it has."""

    target: str
    bias: str
    role: str
    donor: str | None
    prompt: str
    count: int


def groups(seen: Seen, target: Attribute, bias: Attribute) -> dict[str, Group]:
    """Every pair of values that an image has. In each class the bias values that come with it more often than
    chance has it are aligned, the others conflicting; donor is the class's largest aligned group.

    Raises:
        FairgenError: no image has both.
    """
    if not (table := crossed(seen, target, bias)):
        raise FairgenError(
            f"no image has both '{target.attribute}' and '{bias.attribute}'; name other attributes with"
            " --target and --bias"
        )
    names = [list(own.values or own.ranges) for own in (target, bias)]
    pairs = [*product(*names)]
    named = dict(zip(pairs, different([f"{a}-{b}" for a, b in pairs]), strict=True))
    total, found = sum(table.values()), {}
    for value in names[0]:
        in_class = sum(table[(value, other)] for other in names[1])
        by_chance = {b: in_class * sum(table[(t, b)] for t in names[0]) / total for b in names[1]}
        lift = {b: table[(value, b)] / by_chance[b] if by_chance[b] else 0.0 for b in names[1]}
        aligned = {b for b in names[1] if lift[b] > 1} or {max(lift, key=lambda b: lift[b])}
        if len(aligned) == len(names[1]):
            aligned -= {min(lift, key=lambda b: lift[b])}
        donor = max(aligned, key=lambda b: table[(value, b)])
        for other in filter(lambda b: table[(value, b)], names[1]):
            mine = other in aligned
            found[named[value, other]] = Group(
                value,
                other,
                "aligned" if mine else "conflicting",
                None if mine else named[value, donor],
                f"a photo of a [V] {words(target, value)}, {words(bias, other)}",
                table[(value, other)],
            )
    return found


def counted(seen: Seen, target: Attribute, bias: Attribute, groups: dict[str, Group]) -> dict[str, Group]:
    """The same groups with the number of their images."""
    table = crossed(seen, target, bias)
    return {name: replace(group, count=table[(group.target, group.bias)]) for name, group in groups.items()}


def words(of: Attribute, value: str) -> str:
    """A value in a prompt."""
    text = value.replace("-", " ").replace("_", " ")
    return f"{of.attribute.replace('_', ' ')} {text}" if of.ranges else text
