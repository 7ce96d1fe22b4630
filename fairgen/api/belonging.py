"""Whether a file belongs to a result, by what both record of their lineages; no workflow is asked."""

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fairgen.core import lineage
from fairgen.core.errors import FairgenError


@dataclass(frozen=True)
class Belonging:
    """What a result says of its own lineage and of those that it was made from.

    Attributes:
        table: its file.
        record: what that records.
        strict: refuse what does not belong, rather than warn.
    """

    table: Path
    record: lineage.Record
    strict: bool

    @cached_property
    def sources(self) -> frozenset[str] | None:
        """Lineages of all that the result was made from, and its own; None where it does not say."""
        if "sources" not in self.record:
            return None
        return frozenset([self.record["hash"], *self.record["sources"].split()])

    def known(self, path: Path) -> Path:
        """A file that the result was made from.

        Raises:
            FairgenError: it is not there, or is of another config or code.
        """
        found = there(path)
        if self.sources is not None and found.get("hash") not in self.sources:
            self._say(path, "is not what the result was made from")
        return path

    def about(self, path: Path, source: Path | None = None) -> Path:
        """A file that was made from the result, or from a source of it.

        Raises:
            FairgenError: it is not there, or was made from another.
        """
        found, wanted = there(path), there(source) if source else self.record
        if self.sources is not None and wanted.get("hash") not in found.get("sources", "").split():
            self._say(path, f"was not made from {source or self.table}")
        return path

    def _say(self, path: Path, what: str) -> None:
        text = (
            f"{path} {what}: it is of another config or code, or damaged; `fairgen verify {self.table}` says"
            " what differs, and a run makes both anew"
        )
        if self.strict:
            raise FairgenError(f"{text}; fairgen.open(…, strict=False) takes it as it is")
        warnings.warn(text, stacklevel=4)


def there(path: Path) -> lineage.Record:
    """What a file records; nothing where it cannot be read.

    Raises:
        FairgenError: it is not there.
    """
    if not path.exists():
        raise FairgenError(f"{path} is not there; make it, or copy the whole folder of results")
    return lineage.read(path) or {}
