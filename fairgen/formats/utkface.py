"""UTKFace: labels in the file names, `[age]_[gender]_[race]_[date and time].jpg`, no official split.

Usable oddities (a space before the suffix, a missing dot, a cut extension) are read; names with a missing field are
rejected and never guessed, since the published repairs disagree.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairgen.formats import Reject, Row

LAYOUT = "a folder of images named [age]_[gender]_[race]_[date and time].jpg or …jpg.chip.jpg (the cropped set)"
GENDERS = {"0": "male", "1": "female"}
RACES = {"0": "White", "1": "Black", "2": "Asian", "3": "Indian", "4": "Others"}
NAME = re.compile(r"(?P<age>\d*)_(?P<gender>\d*)_(?P<race>\d*)_(?P<stamp>\d{16,18})\s*\.?(jpe?g|pg|png)?(\.chip\.jpg)?", re.I)
JUNK = {"thumbs.db", ".ds_store", "desktop.ini"}


def read(root: Path, options: dict[str, Any]) -> Iterator[Row | Reject]:
    """Yield every file below `root` once, in order of its path.

    Args:
        root: folder of crops.
        options: `ages` maps each bias value to its [lowest, highest] age; other ages are left out.
    """
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        yield parse(path.relative_to(root).as_posix(), options["ages"])


def parse(file: str, ages: dict[str, list[int]]) -> Row | Reject:
    """Read one name; never raises."""
    name = file.rsplit("/", 1)[-1]
    if name.lower() in JUNK or name.startswith("._") or "/." in f"/{file}" or "__MACOSX" in file:
        return Reject(file, "not an image: a system file", malformed=False)
    match = NAME.fullmatch(name)
    if match is None:
        return Reject(file, "name is not [age]_[gender]_[race]_[date and time]: a field is missing or unreadable")
    age, gender, race = match["age"], match["gender"], match["race"]
    for field, value, known in (("gender", gender, GENDERS), ("race", race, RACES)):
        if value not in known:
            return Reject(file, f"{field} '{value}' in the name is none of {', '.join(known)}")
    if not age or int(age) > 116:
        return Reject(file, f"age '{age}' in the name is not between 0 and 116")
    for bias, (low, high) in ages.items():
        if low <= int(age) <= high:
            return Row(path=file, target=GENDERS[gender], bias=bias, detail=RACES[race])
    asked = ", ".join(f"{bias} {low}-{high}" for bias, (low, high) in ages.items())
    return Reject(file, f"age {age} lies in no bias value ({asked})", malformed=False)
