"""Whether a published result agrees with itself: its means, intervals and comparisons follow from the values
of its runs.
"""

import math
from collections.abc import Collection, Iterator
from typing import Any

from fairgen.core.errors import FairgenError
from fairgen.evaluate import intervals

ROUNDING = 1e-6  # what two figures may differ by
RUNS = {"worst_group": ("seed", "seeds"), "replicates": ("replicate", "replicates")}  # a run, and their list


def check(document: dict[str, Any], kind: str, where: str, ceilings: Collection[str] | None = None) -> None:
    """Compare the figures of a document that fits its schema.

    Args:
        document: of a file.
        kind: `worst_group` or `replicates`.
        where: what the file is called.
        ceilings: the methods that it, or its config, calls so; None where neither says.

    Raises:
        FairgenError: the first figure that does not follow from the values of its runs.
    """
    if found := next(contradictions(document, kind, ceilings), None):
        raise FairgenError(f"{where}: {found}; it was edited or mixed from several files: make it again")


def contradictions(
    document: dict[str, Any], kind: str, ceilings: Collection[str] | None = None
) -> Iterator[str]:
    """Yield what contradicts itself, the key first."""
    run, listed = RUNS[kind]
    resplit = document.get("resplit", 0.0)
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
            for place, own in figures(entry, key):
                over = "seed" if "per_seed" in own else "replicate"
                wider = resplit if over == "replicate" else 0.0
                if not alike(own, intervals.over_runs(own[f"per_{over}"], over, intervals.SHARE, wider)):
                    yield f"{place}: the figures over {over}s are not those of their values"
            means = [own["mean"] for own in entry.get("over_seeds", ())]
            if means and not alike(means, values[name]):
                yield f"{key}: per_replicate has other values than over_seeds"
            if kind == "worst_group":
                yield from of_groups(entry, key)
        compared, key = document["comparisons"][ratio], f"comparisons.{ratio}"
        aside = intervals.unranked(compared, values)
        yield from of_comparison(compared, intervals.ranking(values, run, aside, resplit), key)
        if ceilings is not None and {*aside} != ({*ceilings} if {*values} - {*ceilings} else set()):
            yield f"{key}: it leaves other methods aside than its ceilings"


def figures(value: Any, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every figure over runs in an entry, with its place."""
    if isinstance(value, dict) and {"mean", "ci95"} <= value.keys():
        yield key, value
    elif isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from figures(inner, f"{key}.{name}")


def of_groups(entry: dict[str, Any], key: str) -> Iterator[str]:
    """Yield where a method's worst group is not the worst of its groups."""
    groups = {name: own["accuracy"] for name, own in entry["groups"].items() if own["n"]}
    known, worst = [own["per_seed"] for own in groups.values()], entry["worst_group_accuracy"]["per_seed"]
    if any(len(own) != len(worst) for own in known):
        yield f"{key}.groups: a group has other seeds than the worst one"
        return
    if not alike([min(run) for run in zip(*known, strict=True)], worst):
        yield f"{key}.worst_group_accuracy: it is not that of the worst group"
    least, named = min(own["mean"] for own in groups.values()), entry["worst_group"]["by_mean"]
    if named not in groups or not alike(groups[named]["mean"], least):
        yield f"{key}.worst_group.by_mean: {named} is not the worst group"


def of_comparison(found: dict[str, Any], right: dict[str, Any], key: str) -> Iterator[str]:
    """Yield what a comparison says otherwise than the values of its methods."""
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
