"""Names that a data set can have, as a folder of `results`, a key of the config and a word of a command."""

import re

RESERVED = ("logs", "benchmarks", "tracking")  # folders of results that are no data set's
PATTERN = rf"^(?!(?:{'|'.join(RESERVED)})$)[a-z][a-z0-9-]*$"  # the schema's own for keys of `datasets`
RULE = (
    f"small letters, digits and dashes, beginning with a letter, and not {', '.join(RESERVED[:-1])} or"
    f" {RESERVED[-1]}"
)


def valid(name: str) -> bool:
    """Whether a data set can have this name."""
    return re.fullmatch(PATTERN, name) is not None
