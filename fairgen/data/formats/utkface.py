"""UTKFace: labels in the file names, `[age]_[gender]_[race]_[date and time].jpg`, no official split.

Usable oddities (a space before the suffix, a missing dot, a cut extension) are read; names with a missing
field are rejected and never guessed, since the published repairs disagree.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairgen.data.formats import Reject, Row
from fairgen.data.formats.files import walk

LAYOUT = (
    "a folder of images named [age]_[gender]_[race]_[date and time].jpg or …jpg.chip.jpg (the cropped set)"
)
GENDERS = {"0": "male", "1": "female"}
RACES = {"0": "White", "1": "Black", "2": "Asian", "3": "Indian", "4": "Others"}
NAME = re.compile(
    r"(?P<age>[0-9]*)_(?P<gender>[0-9]*)_(?P<race>[0-9]*)_(?P<stamp>[0-9]{16,18})\s*\.?(jpe?g|pg|png)?(\.chip\.jpg)?",
    re.I,
)


def read(root: Path, options: dict[str, Any]) -> Iterator[Row | Reject]:
    """Yield every file below `root` once, in order of its path, with the attributes `age`, `gender` and
    `race`.
    """
    for found in walk(root):
        yield found if isinstance(found, Reject) else parse(found)


def parse(file: str) -> Row | Reject:
    """Read one name; never raises."""
    match = NAME.fullmatch(file.rsplit("/", 1)[-1])
    if match is None:
        return Reject(
            file, "name is not [age]_[gender]_[race]_[date and time]: a field is missing or unreadable"
        )
    age, gender, race = match["age"], match["gender"], match["race"]
    for field, value, known in (("gender", gender, GENDERS), ("race", race, RACES)):
        if value not in known:
            return Reject(file, f"{field} in the name is unknown: '{value}' is none of {', '.join(known)}")
    if not age or len(age) > 3 or int(age) > 116:
        return Reject(file, f"age in the name is unknown: '{age}' is not between 0 and 116")
    return Row(
        file,
        {"age": str(int(age)), "gender": GENDERS[gender], "race": RACES[race]},
        detail={"race": RACES[race]},
    )
