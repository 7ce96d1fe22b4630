"""Figures beside limits."""

import pytest

from fairgen.core.rounding import down


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.2996, 2, "0.29"),
        (0.99497, 3, "0.994"),
        (0.29, 2, "0.29"),
        (0.3, 2, "0.30"),
        (0.995, 3, "0.995"),
        (-0.005, 2, "-0.01"),
        (1.0, 3, "1.000"),
    ],
)
def test_no_figure_is_rounded_up_to_a_limit(value: float, digits: int, text: str) -> None:
    assert down(value, digits) == text
