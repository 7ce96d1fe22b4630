"""The one exception whose text is written for the user, and what of the data may stand in it."""


class FairgenError(Exception):
    """A mistake that the user can mend: names the file, config key or group, what was expected, and what to
    do.
    """


def shortened(text: str, limit: int = 120) -> str:
    """Text of the data for a message: one line, and not without end."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[:limit]}…"
