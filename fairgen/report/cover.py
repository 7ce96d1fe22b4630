"""The report's cover: what was compared on which data, and what came out, in one figure and three
sentences.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from fairgen.core.html import Picture
from fairgen.core.markdown import clean, table
from fairgen.evaluate import intervals, results
from fairgen.report import ranking

# images of a group, in worst_group.json
SPLITS = {"training": "train_n", "validation": "validation_n", "test": "n"}
LISTED = 4  # names in a row; more are counted


def cover(document: dict[str, Any], bars: bytes) -> list[str | Picture]:
    """The cover of one data set, as Markdown around the figure of worst-group accuracy.

    Args:
        document: the comparison, `worst_group.json`.
        bars: the figure, a PNG.
    """
    place = f"at bias ratio {clean(next(iter(document['results'])))}"
    above = [f"# {clean(document['dataset'])}: what was compared, and what came out", compared(document)]
    words = (
        f"Worst-group accuracy of every method on {document['dataset']}; the table of results has the numbers"
    )
    return [
        "\n\n".join([*above, f"## The result {place}", sentences(document)]),
        Picture(bars, words),
        data(document),
    ]


def sentences(document: dict[str, Any]) -> str:
    """What came out, in three sentences."""
    ratio, methods = next(iter(document["results"].items()))
    ceilings = results.ceilings(document["config"], methods)
    if results.trial(document) or len(ceilings) == len(methods):  # no method is better than another
        return f"{ranking.verdict(document, ratio)} {worst_groups(methods)}"
    told = [leading(document), ahead(document["comparisons"][ratio], methods), worst_groups(methods)]
    return " ".join(filter(None, [*told, clean(ranking.aside(document, ratio))]))


def data(document: dict[str, Any]) -> str:
    """The images of each group, and the second test set where there is one, at the first ratio."""
    ratio, methods = next(iter(document["results"].items()))
    place = f"at bias ratio {clean(ratio)}"
    parts = [f"## Images of each group {place}", images(methods), *gaps(methods), *shifted(methods, place)]
    return "\n\n".join(parts)


def trial(document: dict[str, Any]) -> list[str]:
    """What is to be said first of a trial."""
    note = results.trial(document)
    return [f"**{note}.**"] if note else []


def gaps(methods: dict[str, Any]) -> list[str]:
    """The groups without rows in a split, a line each."""
    return [f"**{clean(line)}.**" for line in results.missing(results.empty_groups(methods))]


def compared(document: dict[str, Any]) -> str:
    """Methods, seeds, ratios and data, in one paragraph; in front of it that it is a trial, if it is."""
    found = document["results"]
    methods, ratios = next(iter(found.values())), list(found)
    seeds, groups = len(document["seeds"]), next(iter(methods.values()))["groups"]
    sizes = [f"{sum(g[key] for g in groups.values())} {split}" for split, key in SPLITS.items()]
    meaning = ["the share of each class's training images that agree with the bias"] * (ratios != ["natural"])
    meaning += ["natural: the data as they are"] * ("natural" in ratios)
    told = (
        f"{count(len(methods), 'method')} ({', '.join(map(clean, methods))}) on the data set"
        f" {clean(document['dataset'])}, at bias ratio{'s' * (len(ratios) > 1)}"
        f" {listed(ratios, len(ratios))} ({'; '.join(meaning)}), each with"
        f" {count(seeds, 'classifier seed')}. {clean(document['dataset'])} has"
        f" {count(len(groups), 'group')}; at bias ratio {ratios[0]} that is {listed(sizes)} images. A method"
        " is judged by the test accuracy of the group that it serves worst."
    )
    return "\n\n".join([*trial(document), told])


def images(methods: dict[str, Any]) -> str:
    """Images of each group in every split, as a table; the methods of a ratio share its split."""
    groups = next(iter(methods.values()))["groups"]
    body = ((name, *(group[key] for key in SPLITS.values())) for name, group in groups.items())
    return table(("group", *SPLITS), body)


def shifted(methods: dict[str, Any], place: str) -> list[str]:
    """Worst-group accuracies on the second test set, where there is one."""
    found = {name: e["shift"]["worst_group_accuracy"] for name, e in methods.items() if e.get("shift")}
    if not found:
        return []
    ranked = sorted(found.items(), key=lambda item: -item[1]["mean"])
    rows = [(name, f"{figure['mean']:.3f}", intervals.shown(figure)) for name, figure in ranked]
    return [
        f"## On shift, the second test set, {place}",
        "Its rows follow another law than the training rows. Nothing is chosen or ranked by them.",
        table(("method", "worst group", "95 %"), rows),
    ]


def leading(document: dict[str, Any]) -> str:
    """First sentence: the best worst-group accuracy at the first ratio, with its interval, and at how many it
    leads.
    """
    ratio, methods = next(iter(document["results"].items()))
    found = document["comparisons"][ratio]
    leader = found["leader"]
    figure = methods[leader]["worst_group_accuracy"]
    best = [
        name
        for name in (leader, *found["leader_minus"])
        if methods[name]["worst_group_accuracy"]["mean"] == figure["mean"]
    ]
    seeds = len(figure["per_seed"])
    few = (
        "one seed, so there is no interval"
        if seeds == 1
        else f"mean of {seeds} seeds, too few for an interval"
    )
    sure = f"95 % interval over {seeds} seeds {intervals.shown(figure)}" if figure["ci95"] else few
    value = f"{figure['mean']:.3f} ({sure})"
    if len(methods) == 1:
        return f"{named(leader)} has a worst-group accuracy of {value}."
    if len(best) > 1:
        return f"{listed(map(named, best))} share the best worst-group accuracy, {value}."
    won, ratios = (
        sum(found["leader"] == leader for found in document["comparisons"].values()),
        len(document["results"]),
    )
    among = (
        ""
        if ratios == 1
        else f", and leads at {'every ratio' if won == ratios else f'{won} of the {ratios} ratios'}"
    )
    return f"{named(leader)} has the best worst-group accuracy, {value}{among}."


def ahead(comparison: dict[str, Any], methods: dict[str, Any]) -> str:
    """Second sentence: whether the leader is ahead of the baselines and of the next method, by paired
    intervals over seeds, which say nothing of other generators.
    """
    others = sorted(
        comparison["leader_minus"], key=lambda name: -methods[name]["worst_group_accuracy"]["mean"]
    )
    leader, minus = named(comparison["leader"]), comparison["leader_minus"]
    if not others:
        return "No other method is ranked, so nothing can be said of its being ahead of others."
    # intervals need seeds enough
    seeds = len(minus[others[0]]["per_seed"])
    if seeds < intervals.FEWEST:
        return (
            f"Whether {leader} is ahead of another method cannot be said: that takes at least"
            f" {intervals.FEWEST} seeds, and there {'is one' if seeds == 1 else f'are {seeds}'}."
        )

    def gap(name: str) -> str:
        place = ", the next method" if name == others[0] and len(others) > 1 else ""
        return (
            f"{clean(name)}{place} (by {minus[name]['mean']:.3f},"
            f" {intervals.shown(minus[name]).replace('-', '−')})"
        )

    # named are the methods of the paper's comparison, and the next one
    asked = [name for name in dict.fromkeys([*intervals.REFERENCES, others[0]]) if name in minus]
    clear = [name for name in others if intervals.clear(minus[name])]
    unclear = [name for name in others if name not in clear]
    behind = listed(gap(name) for name in asked if name in clear)
    by = f"By paired 95 % intervals over seeds, which vary the classifier alone, {leader} is"
    if not unclear:
        return f"{by} ahead of {'every other method, also of ' if len(others) > 1 else ''}{behind}."
    # what is not clear is said too
    yet = listed(map(gap, unclear))
    return (
        f"{by} ahead of {behind}, but not clearly of {yet}."
        if behind
        else f"{by} not clearly ahead of {yet}."
    )


def worst_groups(methods: dict[str, Any]) -> str:
    """Third sentence: the group that most methods serve worst, with its training images."""
    worst = Counter(entry["worst_group"]["by_mean"] for entry in methods.values()).most_common()
    groups = next(iter(methods.values()))["groups"]
    name, most = worst[0]
    size = count(groups[name]["train_n"], "training image")
    if len(methods) == 1:
        return f"The group that it serves worst is {clean(name)}, with {size}."
    if len(worst) > 1 and worst[1][1] == most:
        shares = listed(f"{clean(group)} by {number}" for group, number in worst)
        return f"No single group is served worst by most methods: {shares}."
    who = (
        f"{most} of the {len(methods)} methods serve" if most < len(methods) else f"All {most} methods serve"
    )
    return f"{who} the group {clean(name)} worst, which has {size}."


def named(method: str) -> str:
    """A method's name, set off."""
    return f"**{clean(method)}**"


def count(number: int, what: str) -> str:
    """A number with what it counts."""
    return f"{number or 'no'} {what}{'s' * (number > 1)}"


def listed(names: Iterable[str], most: int = LISTED) -> str:
    """Names in a row, with an `and`; of more than `most` the rest are counted."""
    row = list(names)
    row = row if len(row) <= most else [*row[: most - 1], f"{len(row) - most + 1} others"]
    return " and ".join([", ".join(row[:-1]), row[-1]] if len(row) > 1 else row)
