"""What is kept for all projects of a user, and may be deleted at any time."""

import os
from pathlib import Path


def folder() -> Path:
    """FAIRGEN_CACHE, else fairgen's part of the user's cache folder; it need not be there yet."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("FAIRGEN_CACHE") or Path(home, "fairgen"))
