"""safetensors out: tensors with facts about them as JSON and the job's lineage, always in the same bytes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairgen.core import lineage

if TYPE_CHECKING:
    import torch


def save(
    path: Path, tensors: Mapping[str, Any], facts: dict[str, Any], more: Mapping[str, str] | None = None
) -> None:
    """Write torch tensors; `facts` go into the metadata under the key `fairgen`, beside `more`. Without
    tensors, torch rests.
    """
    metadata = lineage.stamped({"fairgen": json.dumps(facts, sort_keys=True), **(more or {})})
    if tensors:
        from safetensors.torch import save_file
    else:
        from safetensors.numpy import save_file  # type: ignore[assignment]
    save_file(dict(tensors), path, metadata=metadata)
    order_header(path)


def order_header(path: Path) -> None:
    """Sort the keys of a file's header in place: the library's order varies, and the file's hash would with
    it.
    """
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.dumps(
            json.loads(file.read(length)), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()
        if len(header) > length:
            raise ValueError(f"{path}: the sorted header is longer than the one that safetensors has written")
        file.seek(8)
        file.write(header.ljust(length))


def storable(tensors: "Mapping[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """Tensors as safetensors takes them: on the CPU, contiguous, each in memory of its own; some of timm's
    models tie weights.
    """
    found, taken = {}, set()
    for name, x in tensors.items():
        own = x.detach().cpu().contiguous()
        place = own.untyped_storage().data_ptr()
        found[name] = own.clone() if place in taken else own
        taken.add(place)
    return found
