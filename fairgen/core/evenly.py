"""Some of many, at equal steps."""

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def evenly(items: Sequence[Item], count: int) -> list[Item]:
    """Up to `count` of some items in their order, the first and, of two or more, the last among them."""
    if len(items) <= count:
        return list(items)
    steps = max(1, count - 1)
    return [items[round(i * (len(items) - 1) / steps)] for i in range(count)]
