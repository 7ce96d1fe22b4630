"""Whether a file belongs to a result or a synthetic set, by what both record of their lineages and data; no
workflow is asked.
"""

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fairgen.core import records
from fairgen.core.errors import FairgenError


@dataclass(frozen=True)
class Belonging:
    """What an artifact says of its own lineage and of those that it was made from.

    Attributes:
        table: its file.
        record: what that records.
        strict: refuse what does not belong, rather than warn.
        otherwise: how a caller can have it all the same, for the refusal.
    """

    table: Path
    record: records.Record
    strict: bool = True
    otherwise: str = ""

    @cached_property
    def sources(self) -> frozenset[str] | None:
        """Lineages of all that it was made from, and its own; None where it does not say."""
        found = records.sources_of(self.record)
        return None if found is None else found | {str(self.record.get("hash"))}

    def knows(self, path: Path) -> bool:
        """Whether it was made from a file, or does not say from what."""
        return self.sources is None or (records.read(path) or {}).get("hash") in self.sources

    def known(self, path: Path) -> Path:
        """A file that it was made from.

        Raises:
            FairgenError: it is not there, or is of another config, code or state of the data.
        """
        found = there(path)
        if self.sources is not None and found.get("hash") not in self.sources:
            self._say(path, f"is not what {self.table} was made from")
        else:
            self._same_data(path, found, self.record, self.table)
        return path

    def about(self, path: Path, source: Path | None = None) -> Path:
        """A file that was made from it, or from a source of it.

        Raises:
            FairgenError: it is not there, or was made from another.
        """
        found, wanted = there(path), there(source) if source else self.record
        if self.sources is not None and wanted.get("hash") not in (records.sources_of(found) or ()):
            self._say(path, f"was not made from {source or self.table}")
        else:
            self._same_data(path, found, wanted, source or self.table)
            if source:  # one that comes of no data says nothing of theirs
                self._same_data(path, found, self.record, self.table)
        return path

    def _same_data(self, path: Path, found: records.Record, wanted: records.Record, other: Path) -> None:
        if differ := records.other_data(found, wanted):
            self._tell(
                f"{path} and {other} were made from different states of the data set {differ[0]}, whose files"
                " have changed between them; a run makes anew what is behind"
            )

    def _say(self, path: Path, what: str) -> None:
        self._tell(
            f"{path} {what}: it is of another config or code, or damaged; `fairgen verify {self.table}` says"
            " what differs, and a run makes both anew"
        )

    def _tell(self, text: str) -> None:
        if self.strict:
            raise FairgenError(text + self.otherwise)
        warnings.warn(text, stacklevel=5)


def there(path: Path) -> records.Record:
    """What a file records; nothing where it cannot be read.

    Raises:
        FairgenError: it is not there.
    """
    if not path.exists():
        raise FairgenError(f"{path} is not there; make it, or copy the whole folder of results")
    return records.read(path) or {}
