"""Notes in the user's cache, by which a call does not ask again what an earlier one has found out."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fairgen.core import user_cache

# no home, no room, no permission, or nothing that is JSON
FAILURES = (OSError, RuntimeError, ValueError)


@dataclass(frozen=True)
class Notes:
    """A file of short texts by key; one that cannot be read or written costs time only."""

    name: str
    kept: int  # at most so many, the latest

    @property
    def path(self) -> Path:
        """Where they lie."""
        return user_cache.folder() / f"{self.name}.json"

    def read(self) -> dict[str, str]:
        """All of them."""
        try:
            found = json.loads(self.path.read_text())
        except FAILURES:
            return {}
        texts = found.items() if isinstance(found, dict) else ()
        return {key: text for key, text in texts if isinstance(text, str)}

    def add(self, new: dict[str, str]) -> None:
        """Write these down too."""
        merged = {key: text for key, text in self.read().items() if key not in new} | new
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{self.name}-", dir=self.path.parent) as folder:
                written = Path(folder, "notes")
                written.write_text(json.dumps(dict([*merged.items()][-self.kept :])))
                written.replace(self.path)
        except FAILURES:
            return
