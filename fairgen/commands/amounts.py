"""Amounts that are known as a range [low, high] or not at all: their sums, and how they are shown."""

Range = tuple[float, float]
Amount = Range | None  # None: not known


def times(factor: float, *amounts: Amount) -> Amount:
    """A product of ranges; unknown if one is."""
    low = high = factor
    for amount in amounts:
        if amount is None:
            return None
        low, high = low * amount[0], high * amount[1]
    return low, high


def plus(*amounts: Amount) -> Amount:
    """A sum of ranges; unknown if one is."""
    known = [amount for amount in amounts if amount is not None]
    return (sum(a[0] for a in known), sum(a[1] for a in known)) if len(known) == len(amounts) else None


def span(values: list[float]) -> Range:
    """The range of some numbers."""
    return min(values), max(values)


def either(one: Amount, other: Amount) -> Amount:
    """What may be one or the other; unknown if one is."""
    return span([*one, *other]) if one and other else None


def text(amount: Amount, scale: float = 1.0) -> str:
    """A range to two digits; one number where its ends are alike."""
    if amount is None:
        return "not known"
    low, high = (short(value / scale) for value in amount)
    return low if low == high else f"{low} – {high}"


def short(value: float) -> str:
    """A number to two digits, never in powers of ten."""
    return f"{float(f'{value:.2g}'):,.10g}" if value >= 0.01 or value == 0 else "<0.01"


def total(found: list[Amount], scale: float = 1.0) -> str:
    """A sum of ranges; where one is not known, the sum is a lower bound."""
    amounts = [amount for amount in found if amount is not None]
    known = plus(*amounts) if amounts or not found else None
    return f"at least {short(known[0] / scale)}" if known and None in found else text(known, scale)
