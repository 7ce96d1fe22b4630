"""Figures of a classifier's predictions beside accuracies: fairness differences, AUROC and calibration.

A figure that takes one class apart from the rest is taken for every class in turn: the differences report the
largest, AUROC the mean. For two classes either class gives the same value, so this is the usual binary
definition. A figure that the rows do not define is None.
"""

from dataclasses import dataclass

import numpy as np
from fairlearn.metrics import demographic_parity_difference, equalized_odds_difference
from sklearn.metrics import roc_auc_score


@dataclass(frozen=True)
class Outcomes:
    """True class, predicted class and value of the bias attribute of n rows, each (n,)."""

    target: np.ndarray
    predicted: np.ndarray
    bias: np.ndarray


def one_vs_rest(rows: Outcomes, classes: list[str]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Whether each row is, and whether it is taken for, each class: two (n,) per class."""
    return [(rows.target == name, rows.predicted == name) for name in classes]


def demographic_parity(rows: Outcomes, classes: list[str], values: list[str]) -> float | None:
    """Largest difference between bias values in the share of rows that are given a class (Dwork et al. 2012).

    Args:
        rows: true and predicted classes with the bias attribute.
        classes: all classes.
        values: all values of the bias attribute; None if one has no rows.
    """
    if set(values) - set(rows.bias):
        return None
    return max(
        float(demographic_parity_difference(t, p, sensitive_features=rows.bias))
        for t, p in one_vs_rest(rows, classes)
    )


def equalized_odds(rows: Outcomes, classes: list[str], values: list[str]) -> float | None:
    """Largest difference between bias values in a class's true or false positive rate (Hardt et al. 2016,
    definition 2.1).

    Arguments as in `demographic_parity`. None if a bias value lacks the rows of a rate.
    """
    apart = one_vs_rest(rows, classes)
    if any(len(np.unique(t[rows.bias == value])) < 2 for t, _ in apart for value in values):
        return None
    return max(float(equalized_odds_difference(t, p, sensitive_features=rows.bias)) for t, p in apart)


def auroc(target: np.ndarray, probabilities: np.ndarray, classes: list[str]) -> float | None:
    """Mean over classes of the area under the ROC curve, one class against the rest (macro OvR).

    Args:
        target: (n,) true classes.
        probabilities: (n, classes) in the order of `classes`.
        classes: all classes; None if one has no rows, or all of them.
    """
    if len(classes) < 2 or set(classes) - set(target):
        return None
    return float(
        np.mean([roc_auc_score(target == c, log_odds(probabilities, i)) for i, c in enumerate(classes)])
    )


def log_odds(probabilities: np.ndarray, place: int) -> np.ndarray:
    """(n,) by which rows are ranked for one class: probabilities near 1 are all alike in few digits, the sums
    of the others', near 0, are not.
    """
    rest = np.delete(probabilities, place, axis=1).astype(np.float64).sum(1)
    least = np.finfo(np.float64).tiny
    return np.log(np.maximum(probabilities[:, place], least)) - np.log(np.maximum(rest, least))


def calibration_error(correct: np.ndarray, confidence: np.ndarray, bins: int = 15) -> float | None:
    """Expected calibration error over equal-width bins ((m − 1) / M, m / M] (Guo et al. 2017, eq. 3).

    Args:
        correct: (n,) whether the prediction is right.
        confidence: (n,) probability of the predicted class.
        bins: M.
    """
    if not len(correct):
        return None
    place = np.ceil(confidence * bins).astype(int).clip(1, bins)
    return float(np.abs(np.bincount(place, correct - confidence)).sum() / len(correct))
