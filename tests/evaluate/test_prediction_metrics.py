"""Fairness differences, AUROC and calibration against values worked out by hand."""

import numpy as np
import pytest

from fairgen.evaluate.prediction_metrics import (
    Outcomes,
    auroc,
    calibration_error,
    demographic_parity,
    equalized_odds,
)

# bias a: x is predicted for 3 of 4 rows, true positive rate 1, false positive rate 1/2; bias b: 1 of 4, 1/2,
# 0
BINARY = Outcomes(np.array(list("xxyyxxyy")), np.array(list("xxxyxyyy")), np.array(list("aaaabbbb")))


def test_two_classes() -> None:
    for classes in (["x", "y"], ["y", "x"]):
        assert demographic_parity(BINARY, classes, ["a", "b"]) == 0.5
        assert equalized_odds(BINARY, classes, ["a", "b"]) == 0.5


def test_more_classes_take_the_largest_difference() -> None:
    """Only z differs: it is predicted for 2 of 6 rows with bias a and 1 of 6 with b, at true positive rates 1
    and 1/2.
    """
    rows = Outcomes(
        np.array(list("xxyyzz" * 2)), np.array(list("xxyyzz" + "xxyyzx")), np.array(["a"] * 6 + ["b"] * 6)
    )
    assert demographic_parity(rows, ["x", "y", "z"], ["a", "b"]) == pytest.approx(1 / 6)
    assert equalized_odds(rows, ["x", "y", "z"], ["a", "b"]) == 0.5


def test_undefined_differences_are_none() -> None:
    assert demographic_parity(BINARY, ["x", "y"], ["a", "b", "c"]) is None
    assert equalized_odds(BINARY, ["x", "y"], ["a", "b", "c"]) is None
    one_sided = Outcomes(np.array(list("xyxx")), np.array(list("xyxx")), np.array(list("aabb")))
    assert equalized_odds(one_sided, ["x", "y"], ["a", "b"]) is None
    assert demographic_parity(one_sided, ["x", "y"], ["a", "b"]) == 0.5
    nothing = Outcomes(*[np.array([])] * 3)
    assert demographic_parity(nothing, ["x", "y"], ["a"]) is None
    assert equalized_odds(nothing, ["x", "y"], ["a"]) is None


def test_auroc() -> None:
    """Of the four pairs of an x and a y, three are in order."""
    target, x = np.array(list("xxyy")), np.array([0.9, 0.4, 0.5, 0.1])
    assert auroc(target, np.stack([x, 1 - x], axis=1), ["x", "y"]) == 0.75
    assert auroc(target, np.stack([x, 1 - x], axis=1), ["x", "y", "z"]) is None
    assert auroc(target[:2], np.stack([x, 1 - x], axis=1)[:2], ["x", "y"]) is None
    three = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.6, 0.1, 0.3]])
    assert auroc(np.array(list("xyz")), three, ["x", "y", "z"]) == 1


def test_auroc_of_sure_predictions_is_the_same_for_both_classes() -> None:
    """Probabilities that are all 1 in float32 have others that still differ."""
    margin = np.array([30.0, 20.0, 25.0, 18.0])
    y = 1 / (1 + np.exp(margin))
    both = np.stack([(1 - y).astype(np.float32), y.astype(np.float32)], axis=1)
    assert set(both[:, 0]) == {1.0}
    assert auroc(np.array(list("xxyy")), both, ["x", "y"]) == 0.75


def test_calibration_error() -> None:
    """Two rows in the last bin, one of them right: |1 − 1.9|; one right row at 0.62: |1 − 0.62|; over three
    rows.
    """
    found = calibration_error(np.array([True, False, True]), np.array([0.95, 0.95, 0.62]))
    assert found == pytest.approx((0.9 + 0.38) / 3)
    assert calibration_error(np.array([True]), np.array([1.0])) == 0
    assert calibration_error(np.array([]), np.array([])) is None
    together = calibration_error(np.array([True, False]), np.array([0.6, 0.8]), bins=2)  # one bin, (0.5, 1]
    assert together == pytest.approx(abs(1 - 1.4) / 2)
    # 0.5 belongs to (0, 0.5]
    apart = calibration_error(np.array([True, False]), np.array([0.5, 0.8]), bins=2)
    assert apart == pytest.approx((0.5 + 0.8) / 2)


def test_three_classes_have_the_mean_of_each_one_against_the_others() -> None:
    p = np.array([[8, 1, 1], [8, 1, 1], [1, 5, 4], [1, 3, 6], [1, 4, 5], [1, 2, 7]]) / 10
    found = auroc(np.array(list("xxyyzz")), p, list("xyz"))
    assert found == pytest.approx((1 + 7 / 8 + 7 / 8) / 3)


def test_calibration_has_fifteen_bins() -> None:
    """0.65 and 0.69 are in two of them."""
    found = calibration_error(np.array([True, False]), np.array([0.65, 0.69]))
    assert found == pytest.approx((0.35 + 0.69) / 2)
