"""The methods of a comparison in the order of their worst groups, with the figures that tables show."""

from collections.abc import Collection
from typing import Any

from fairgen.evaluate import intervals, results

# figures beside the worst group
BESIDE = ("balanced_accuracy", "average_accuracy")


def spread(figure: dict[str, Any] | None) -> str:
    """Mean with its 95 % interval; a dash for an undefined figure."""
    return "–" if figure is None else f"{figure['mean']:.3f} ({intervals.shown(figure)})"


def ranked(methods: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Methods with their figures, the best worst group first."""
    return sorted(methods.items(), key=lambda item: -item[1]["worst_group_accuracy"]["mean"])


def figures(entry: dict[str, Any]) -> list[dict[str, Any] | None]:
    """What stands beside the worst group: balanced and average accuracy, and that of each group."""
    return [*(entry[key] for key in BESIDE), *(own["accuracy"] for own in entry["groups"].values())]


def labels(entry: dict[str, Any]) -> str:
    """What a method used group labels for."""
    return ", ".join(entry["group_labels"]) or "nothing"


def aside(document: dict[str, Any], ratio: str) -> str:
    """Which methods are ceilings, as a sentence; "" if none is."""
    methods = document["results"][ratio]
    return sentence(intervals.aside(document["comparisons"][ratio], methods), methods)


def verdict(document: dict[str, Any], ratio: str) -> str:
    """Whether there is a winner at a ratio, over seeds or over replicates, as a sentence, and one more where
    there are ceilings.
    """
    found, methods = document["comparisons"][ratio], document["results"][ratio]
    repeated = "replicates" in document
    run, trial = ("replicate", document.get("trial")) if repeated else ("seed", results.trial(document))
    return " ".join(sentence(words, methods) for words in intervals.said(found, methods, run, bool(trial)))


def sentence(words: str, methods: Collection[str]) -> str:
    """Words with a full stop and a capital, which the name of a method does not take; "" for none."""
    first = words.partition(" ")[0].rstrip(",:;")
    return words and f"{words[:1] if first in methods else words[:1].upper()}{words[1:]}."
