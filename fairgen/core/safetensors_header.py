"""The header of a safetensors file: names, shapes and places of its tensors, and its metadata; the tensors
stay on disk.
"""

import json
from pathlib import Path
from typing import Any

LENGTH = 8  # bytes of the number that a file begins with: the length of its header, little-endian


def read(path: Path) -> tuple[dict[str, Any], int]:
    """The header, and the byte at which the tensors begin.

    Raises:
        ValueError: this is no safetensors file, or one that was cut off.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH), "little")
        if not 0 < length <= path.stat().st_size - LENGTH:
            raise ValueError(f"{path} is no whole safetensors file")
        found = json.loads(file.read(length))
    if not isinstance(found, dict):
        raise ValueError(f"{path} is no safetensors file")
    ends = [about["data_offsets"][1] for name, about in found.items() if name != "__metadata__"]
    if path.stat().st_size != LENGTH + length + max(ends, default=0):
        raise ValueError(
            f"{path} is no whole safetensors file: its tensors are cut short, or something follows"
        )
    return found, LENGTH + length


def metadata(path: Path) -> dict[str, str]:
    """What is written beside the tensors; raises as `read`."""
    return read(path)[0].get("__metadata__", {})


def shapes(path: Path) -> dict[str, list[int]]:
    """The shape of every tensor; raises as `read`."""
    return {name: about["shape"] for name, about in read(path)[0].items() if name != "__metadata__"}
