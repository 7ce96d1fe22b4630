"""Random seeds from names, so that no result depends on job order, batch size or restarts."""

import hashlib


def seed_of(*parts: object) -> int:
    """A stable 63-bit seed from the parts' text."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
