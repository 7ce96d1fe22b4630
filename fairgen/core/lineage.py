"""What an artifact belongs to: the settings and the code that it was made with, and those of all that it was
made from.

The workflow gives every job its lineage, one hash over all of that (`fairgen.workflow.ancestry`). A job
refuses inputs of another lineage, and what it writes carries its own (`fairgen.core.records` reads it).

A lineage knows nothing of the user's files, which may change under the same config. So what comes of a data
set also records a digest of the rows that its index had (`of_data`), and what comes of two states of one data
set is refused.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fairgen.core import records
from fairgen.core.contents import content
from fairgen.core.errors import FairgenError
from fairgen.core.fingerprint import unchanged


@dataclass(frozen=True)
class Lineage:
    """A job's lineage; without a hash, as of a stage that is called by hand, nothing is recorded and nothing
    is checked.
    """

    hash: str = ""
    code: str = ""  # fingerprint of the stage's code
    stage: str = ""
    settings: records.Record = field(default_factory=dict)
    # hashes of the files of an option; "" for what has none
    inputs: dict[str, list[str]] = field(default_factory=dict)
    modules: list[str] = field(default_factory=list)  # what `code` is the fingerprint of
    watched: list[str] = field(default_factory=list)  # content of files that no rule makes, "" for others
    sources: str = ""  # hashes of all that it is made from, directly or not
    data: str = ""  # `name=digest` of the data sets that it comes of, as their indices were read

    def record(self) -> records.Record:
        """What its artifacts say."""
        known = {"hash": self.hash, "stage": self.stage, "code": self.code, "settings": self.settings}
        return {**known, "sources": self.sources, **({"data": self.data} if self.data else {})}

    def words(self) -> str:
        """What those say that have no room for more."""
        return " ".join(filter(None, [self.hash, self.data]))


current = Lineage()  # of this process's job


def begin(given: records.Record, stage: str, settings: records.Record) -> None:
    """Take the job's lineage, as the workflow gives it on the command line."""
    global current
    current = Lineage(stage=stage, settings=settings, **given)


def of_data(name: str, rows: Iterable[Any], images: Iterable[Any]) -> None:
    """Let the job's artifacts record what a data set held when it was read: digests of its rows, and of its
    images whatever their order and splits, which replicates of it share.
    """
    global current
    current = replace(current, data=f"{name}={digest(rows)}.{digest(images)}")


def digest(values: Iterable[Any]) -> str:
    """A short hash of some values, one after the other."""
    found = hashlib.sha256()
    for value in values:
        found.update(json.dumps(value, sort_keys=True, default=bytes.hex).encode())
    return found.hexdigest()[:16]


def stamped(metadata: dict[str, str]) -> dict[str, str]:
    """The metadata of a Parquet or safetensors file, with the job's lineage."""
    return (
        {**metadata, records.KEY: json.dumps(current.record(), sort_keys=True)} if current.hash else metadata
    )


def pictured() -> dict[str, str]:
    """The metadata of a PNG, with the job's lineage."""
    return {records.KEY: current.words()} if current.hash else {}


def write_json(path: Path, document: dict[str, Any], sort_keys: bool = False) -> None:
    """Write a document with the job's lineage as its last field.

    Raises:
        ValueError: a number is not finite.
    """
    whole = {**document, records.KEY: current.record()} if current.hash else document
    path.write_text(
        json.dumps(whole, indent=1, sort_keys=sort_keys, allow_nan=False, ensure_ascii=False) + "\n", "utf-8"
    )


def write_text(path: Path, text: str) -> None:
    """Write Markdown or HTML with the job's lineage in a comment at the end."""
    path.write_text(f"{text.rstrip()}\n\n<!-- lineage {current.words()} -->\n" if current.hash else text)


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


def check_watched(files: list[Path]) -> None:
    """Refuse to make, or to keep, what other model files have made than the workflow has seen.

    Args:
        files: of the job, in the order in which the workflow has seen them.

    Raises:
        FairgenError: one has changed since.
    """
    for path, seen in zip(files, current.watched, strict=bool(current.watched)):
        # nothing was seen of what a job makes, or of files that come from elsewhere with the job
        if seen and content(str(path)) not in ("", seen):  # of one that is not there the stage speaks
            raise FairgenError(
                f"{path} has changed after snakemake had planned this job, so its result would be of neither"
                " version; call snakemake again"
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
            found.update([record["hash"], *(records.sources_of(record) or ())] if record else [])
            for of, digest in records.data_of(record).items():
                known, first = data.setdefault(of, (digest, path))
                if known != digest:
                    raise FairgenError(
                        f"{first} and {path} were made from different states of the data set {of}, whose"
                        " files have changed between them; call snakemake again with --forcerun index"
                    )
    told = " ".join(f"{of}={digest}" for of, (digest, _) in sorted(data.items()))
    current = replace(current, sources=" ".join(sorted(found)), data=told)


def check_file(path: Path, wanted: str) -> records.Record | None:
    """Refuse one file, or return what it records; see `check_inputs`."""
    found = records.read(path) if wanted else None
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
        own = current.hash and path.suffix in records.READERS and path.suffix != ".csv"
        if own and (records.read(path) or {}).get("hash") != current.hash:
            raise RuntimeError(f"{path.name} was written without its lineage")
