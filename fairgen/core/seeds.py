"""Random seeds from names, so that no result depends on job order, batch size or restarts."""

import hashlib


def seed_of(*parts: object) -> int:
    """A stable 63-bit seed from the parts' text. PyTorch's generator on the CPU takes its lower 32 bits, so
    that of 1,600 noises two are the same in one run of 3,000.
    """
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
