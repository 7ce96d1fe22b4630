"""What an artifact belongs to: the settings and the code that it was made with, and those of all that it was
made from.

The workflow gives every job its lineage, one hash over all of that (`fairgen.workflow.ancestry`). A job
refuses inputs of another lineage, and what it writes carries its own: Parquet and safetensors in their
metadata, JSON in a field, each with the stage's settings and the lineages of all that it is made from; a PNG
in a text chunk, Markdown and HTML in a comment, as the hash alone. A CSV goes with the JSON beside it.

A lineage knows nothing of the user's files, which may change under the same config. So what comes of a data
set also records a digest of the rows that its index had (`of_data`), and what comes of two states of one data
set is refused.
"""

import hashlib
import json
import re
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fairgen.core import safetensors_header
from fairgen.core.errors import FairgenError
from fairgen.core.fingerprint import unchanged

KEY = "lineage"
BESIDE = "csv_sha256"  # in a JSON document: the hash of the CSV beside it, which has no room for a record
# of Markdown and HTML: the hash, and the data where it comes of some
COMMENT = re.compile(r"<!-- lineage ([0-9a-f]+)((?: [a-z][a-z0-9-]*=[0-9a-f]+)*) -->\s*$")
Record = dict[str, Any]  # hash, data, and where there is room for it: stage, code, settings, sources


@dataclass(frozen=True)
class Lineage:
    """A job's lineage; without a hash, as of a stage that is called by hand, nothing is recorded and nothing
    is checked.
    """

    hash: str = ""
    code: str = ""  # fingerprint of the stage's code
    stage: str = ""
    settings: Record = field(default_factory=dict)
    # hashes of the files of an option; "" for what has none
    inputs: dict[str, list[str]] = field(default_factory=dict)
    modules: list[str] = field(default_factory=list)  # what `code` is the fingerprint of
    sources: str = ""  # hashes of all that it is made from, directly or not
    data: str = ""  # `name=digest` of the data sets that it comes of, as their indices were read

    def record(self) -> Record:
        """What its artifacts say."""
        known = {"hash": self.hash, "stage": self.stage, "code": self.code, "settings": self.settings}
        return {**known, "sources": self.sources, **({"data": self.data} if self.data else {})}

    def words(self) -> str:
        """What those say that have no room for more."""
        return " ".join(filter(None, [self.hash, self.data]))


current = Lineage()  # of this process's job


def begin(given: Record, stage: str, settings: Record) -> None:
    """Take the job's lineage, as the workflow gives it on the command line."""
    global current
    current = Lineage(stage=stage, settings=settings, **given)


def of_data(name: str, rows: Iterable[Any]) -> None:
    """Let the job's artifacts record what a data set held when it was read: a digest of these rows."""
    global current
    found = hashlib.sha256()
    for row in rows:
        found.update(json.dumps(row, sort_keys=True, default=bytes.hex).encode())
    current = replace(current, data=f"{name}={found.hexdigest()[:16]}")


def data_of(record: Record | None) -> dict[str, str]:
    """The digest of each data set that an artifact comes of, as it records them."""
    found = (record or {}).get("data")
    parts = (part.partition("=") for part in (found.split() if isinstance(found, str) else ()))
    return {name: digest for name, _, digest in parts}


def sources_of(record: Record | None) -> frozenset[str] | None:
    """The lineages of all that an artifact was made from; None where it does not say."""
    found = (record or {}).get("sources")
    return frozenset(found.split()) if isinstance(found, str) else None


def other_data(one: Record | None, other: Record | None) -> list[str]:
    """The data sets of which two artifacts come, and of whose rows they saw others."""
    ours, theirs = data_of(one), data_of(other)
    return sorted(name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name])


def stamped(metadata: dict[str, str]) -> dict[str, str]:
    """The metadata of a Parquet or safetensors file, with the job's lineage."""
    return {**metadata, KEY: json.dumps(current.record(), sort_keys=True)} if current.hash else metadata


def pictured() -> dict[str, str]:
    """The metadata of a PNG, with the job's lineage."""
    return {KEY: current.words()} if current.hash else {}


def write_json(path: Path, document: dict[str, Any], sort_keys: bool = False) -> None:
    """Write a document with the job's lineage as its last field.

    Raises:
        ValueError: a number is not finite.
    """
    whole = {**document, KEY: current.record()} if current.hash else document
    path.write_text(
        json.dumps(whole, indent=1, sort_keys=sort_keys, allow_nan=False, ensure_ascii=False) + "\n", "utf-8"
    )


def write_text(path: Path, text: str) -> None:
    """Write Markdown or HTML with the job's lineage in a comment at the end."""
    path.write_text(f"{text.rstrip()}\n\n<!-- lineage {current.words()} -->\n" if current.hash else text)


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


def check_code() -> None:
    """Refuse to make, or to keep, what other code has made than the workflow means.

    Raises:
        FairgenError: a file that the stage uses was edited since.
    """
    if not unchanged(current.code, current.modules):
        raise FairgenError(
            f"the code of {current.stage} was edited after snakemake had planned this job, so its result"
            " would be of neither version; call snakemake again"
        )


def check_inputs(files: dict[str, list[Path]]) -> None:
    """Refuse inputs that are not what the workflow means: of other settings or code, or without a record, or
    of two states of one data set. What they come from is what the outputs come from.

    Args:
        files: the job's input files, by the option that names them.

    Raises:
        FairgenError: names the first of them, and what to do.
    """
    global current
    found: set[str] = set()
    data: dict[str, tuple[str, Path]] = {}
    for name, paths in files.items():
        for path, wanted in zip(paths, current.inputs.get(name) or [""] * len(paths), strict=True):
            record = check_file(path, wanted) or {}
            found.update([record["hash"], *(sources_of(record) or ())] if record else [])
            for of, digest in data_of(record).items():
                known, first = data.setdefault(of, (digest, path))
                if known != digest:
                    raise FairgenError(
                        f"{first} and {path} were made from different states of the data set {of}, whose"
                        " files have changed between them; call snakemake again with --forcerun index"
                    )
    told = " ".join(f"{of}={digest}" for of, (digest, _) in sorted(data.items()))
    current = replace(current, sources=" ".join(sorted(found)), data=told)


def check_file(path: Path, wanted: str) -> Record | None:
    """Refuse one file, or return what it records; see `check_inputs`."""
    found = read(path) if wanted else None
    if wanted and not found:
        raise FairgenError(
            f"{path} does not say what it belongs to: it is damaged, or not of this fairgen; call snakemake"
            " again"
        )
    if found and found["hash"] != wanted:
        raise FairgenError(
            f"{path} is not of the present config and code (`fairgen verify {path}` says what differs); call"
            " snakemake again: it makes anew what is not"
        )
    return found


def check_files(wanted: Mapping[str, str]) -> None:
    """Refuse files, by their paths, that are not of these lineages; see `check_inputs`."""
    for path, found in wanted.items():
        check_file(Path(path), found)


def check_outputs(files: list[Path]) -> None:
    """Every output that can say what it belongs to says so.

    Raises:
        RuntimeError: a stage has written one past the functions above.
    """
    for path in files:
        # a CSV's record stands in the JSON beside it, under its final name
        own = current.hash and path.suffix in READERS and path.suffix != ".csv"
        if own and (read(path) or {}).get("hash") != current.hash:
            raise RuntimeError(f"{path.name} was written without its lineage")
