"""Whether a published result agrees with itself: its means, intervals and comparisons follow from the values
of its runs.
"""

import math
from collections.abc import Iterator
from typing import Any

from fairgen.core.errors import FairgenError
from fairgen.evaluate import intervals

ROUNDING = 1e-6  # what two figures may differ by
RUNS = {"worst_group": ("seed", "seeds"), "replicates": ("replicate", "replicates")}  # a run, and their list


def check(document: dict[str, Any], kind: str, where: str) -> None:
    """Compare the figures of a document that fits its schema.

    Args:
        document: of a file.
        kind: `worst_group` or `replicates`.
        where: what the file is called.

    Raises:
        FairgenError: the first figure that does not follow from the values of its runs.
    """
    if found := next(contradictions(document, kind), None):
        raise FairgenError(f"{where}: {found}; it was edited or mixed from several files: make it again")


def contradictions(document: dict[str, Any], kind: str) -> Iterator[str]:
    """Yield what contradicts itself, the key first."""
    run, listed = RUNS[kind]
    if document["results"].keys() != document["comparisons"].keys():
        yield "results and comparisons have other bias ratios than each other"
        return
    for ratio, methods in document["results"].items():
        if ratio != "natural" and not is_ratio(ratio):
            yield f"results.{ratio} is no bias ratio"
        values = {}
        for name, entry in methods.items():
            key, figure = f"results.{ratio}.{name}", entry["worst_group_accuracy"]
            values[name] = [] if figure is None else figure[f"per_{run}"]
            if len(values[name]) != len(document[listed]):
                yield f"{key} has {len(values[name])} values for {len(document[listed])} {listed}"
                return
            if not alike(figure, intervals.over_runs(values[name], run)):
                yield f"{key}: the figures over {run}s are not those of their values"
            means = [own["mean"] for own in entry.get("over_seeds", ())]
            if means and not alike(means, values[name]):
                yield f"{key}: per_replicate has other values than over_seeds"
            for own in entry.get("over_seeds", ()):
                if not alike(own, intervals.over_runs(own["per_seed"])):
                    yield f"{key}: the figures of over_seeds are not those of their values"
        yield from of_comparison(document["comparisons"][ratio], values, run, f"comparisons.{ratio}")


def of_comparison(found: dict[str, Any], values: dict[str, list[float]], run: str, key: str) -> Iterator[str]:
    """Yield what a comparison says otherwise than the values of its methods; ceilings are what it leaves
    aside.
    """
    ceilings = intervals.unranked(found, values)
    right = intervals.ranking(values, run, ceilings)
    wrong = [part for part in right if part != "winner" and not alike(found[part], right[part])]
    if wrong or found["winner"] not in (None, right["winner"]):
        yield f"{key}.{(*wrong, 'winner')[0]} does not follow from results"


def is_ratio(text: str) -> bool:
    """Whether a text is a share between 0 and 1."""
    try:
        return 0 < float(text) < 1
    except ValueError:
        return False


def alike(one: Any, other: Any) -> bool:
    """Whether two values are the same but for rounding."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=0, abs_tol=ROUNDING)
    return bool(one == other)
