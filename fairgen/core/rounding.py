"""Figures as text that stands beside a limit."""

import math

LOST = 1e-6  # of a last digit: 0.29 is 28.999999999999996 hundredths


def down(value: float, digits: int) -> str:
    """A figure with so many digits, never rounded up: below a limit it would read as one at it."""
    return f"{math.floor(value * 10**digits + LOST) / 10**digits:.{digits}f}"
