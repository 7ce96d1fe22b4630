"""What artifacts record of the lineage that they belong to (`fairgen.core.lineage`), read out of each kind of
file.

Parquet and safetensors have it in their metadata, JSON in a field, each with the stage's settings and the
lineages of all that it is made from; a PNG has it in a text chunk, Markdown and HTML in a comment, as the
hash alone. A CSV goes with the JSON beside it.
"""

import hashlib
import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairgen.core import safetensors_header

KEY = "lineage"
BESIDE = "csv_sha256"  # in a JSON document: the hash of the CSV beside it, which has no room for a record
# of Markdown and HTML: the hash, and the data where it comes of some
COMMENT = re.compile(r"<!-- lineage ([0-9a-f]+)((?: [a-z][a-z0-9-]*=[0-9a-f.]+)*) -->\s*$")
Record = dict[str, Any]  # hash, data, and where there is room for it: stage, code, settings, sources


def without(text: str) -> str:
    """A text as it was given to `write_text`, for a reader."""
    return COMMENT.sub("", text).rstrip() + "\n"


def read(path: Path) -> Record | None:
    """What an artifact records; None for a file that records nothing, or whose kind cannot."""
    reader = READERS.get(path.suffix)
    try:
        found = reader(path) if reader else None
    except (
        ValueError,
        TypeError,
        AttributeError,
        OSError,
        struct.error,
    ):  # changed by hand, cut short, or a folder
        return None
    return found if isinstance(found, dict) and isinstance(found.get("hash"), str) else None


def _parquet(path: Path) -> Record | None:
    import pyarrow.parquet as pq

    found = (pq.read_schema(path).metadata or {}).get(KEY.encode())
    return json.loads(found) if found else None


def _safetensors(path: Path) -> Record | None:
    found = safetensors_header.metadata(path).get(KEY)
    return json.loads(found) if found else None


def _json(path: Path) -> Record | None:
    return json.loads(path.read_text()).get(KEY)


def _comment(path: Path) -> Record | None:
    found = COMMENT.search(path.read_text())
    return in_words(found[1] + found[2]) if found else None


def in_words(text: str) -> Record:
    """What `Lineage.words` says."""
    hash, _, data = text.partition(" ")
    return {"hash": hash, **({"data": data} if data else {})}


def _png(path: Path) -> Record | None:
    with path.open("rb") as file:
        kind = file.read(8)
        while kind not in (b"IDAT", b""):
            length, kind = struct.unpack(">I4s", file.read(8))
            content = file.read(length + 4)[:-4]
            if kind == b"tEXt" and content.startswith(KEY.encode() + b"\0"):
                return in_words(content.partition(b"\0")[2].decode())
    return None


def _csv(path: Path) -> Record | None:
    document = json.loads(path.with_suffix(".json").read_text())
    return (
        document.get(KEY) if document.get(BESIDE) == hashlib.sha256(path.read_bytes()).hexdigest() else None
    )


READERS: dict[str, Callable[[Path], Record | None]] = {
    ".parquet": _parquet,
    ".safetensors": _safetensors,
    ".json": _json,
    ".csv": _csv,
    ".md": _comment,
    ".html": _comment,
    ".png": _png,
}


def data_of(record: Record | None) -> dict[str, str]:
    """The digests of each data set that an artifact comes of, as it records them (`lineage.of_data`)."""
    found = (record or {}).get("data")
    parts = (part.partition("=") for part in (found.split() if isinstance(found, str) else ()))
    return {name: digest for name, _, digest in parts}


def images_of(record: Record | None, name: str) -> str:
    """The digest of a data set's images without their splits; "" where an artifact does not record it."""
    return data_of(record).get(name, "").partition(".")[2]


def sources_of(record: Record | None) -> frozenset[str] | None:
    """The lineages of all that an artifact was made from; None where it does not say."""
    found = (record or {}).get("sources")
    return frozenset(found.split()) if isinstance(found, str) else None


def other_data(one: Record | None, other: Record | None) -> list[str]:
    """The data sets of which two artifacts come, and of whose rows they saw others."""
    ours, theirs = data_of(one), data_of(other)
    return sorted(name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name])
