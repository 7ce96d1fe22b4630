"""Decoded images on disk: one safetensors file that is written as a stream and read by memory map, so that
memory holds neither.

    id        (n,) int64               of the images, as in the index
    pixels    (n, size, size, 3) uint8

The metadata, JSON under `fairgen`, has `content`, a hash of both tensors: a job that goes on after an
interruption compares it in place of the pixels.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairgen.core import lineage, safetensors_header
from fairgen.core.errors import FairgenError


@dataclass(frozen=True)
class Pixels:
    """The images of a file, read from disk where they are indexed, with their ids (n,) and the hash of all of
    it.
    """

    path: Path
    images: np.ndarray  # (n, size, size, 3) uint8, read-only
    ids: np.ndarray
    content: str

    def numbers(self, ids: Sequence[int]) -> np.ndarray:
        """Row numbers (m,) of the images with these ids.

        Raises:
            FairgenError: an image is not in the file.
        """
        order, wanted = np.argsort(self.ids), np.asarray(ids, dtype=np.int64)
        found = np.searchsorted(self.ids, wanted, sorter=order)
        missing = np.flatnonzero(~np.isin(wanted, self.ids))
        if len(missing):
            raise FairgenError(
                f"{self.path}: image {wanted[missing[0]]} is not in it; delete it and call snakemake again"
            )
        return order[found]


def header(count: int, size: int, content: str) -> bytes:
    """The start of a file with so many images of one size."""
    ids, whole = 8 * count, 8 * count + count * size * size * 3
    about = {
        "__metadata__": lineage.stamped({"fairgen": json.dumps({"content": content})}),
        "id": {"dtype": "I64", "shape": [count], "data_offsets": [0, ids]},
        "pixels": {"dtype": "U8", "shape": [count, size, size, 3], "data_offsets": [ids, whole]},
    }
    text = json.dumps(about, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the ids are aligned
    return len(text).to_bytes(safetensors_header.LENGTH, "little") + text


def write(path: Path, count: int, size: int, pictures: Iterable[tuple[int, np.ndarray]]) -> None:
    """Write `count` images, given one by one as id and pixels (size, size, 3) uint8.

    The header comes last, so that a file that was cut off opens nowhere.
    """
    hashed, ids = hashlib.sha256(), []
    start = len(header(count, size, hashed.hexdigest())) + 8 * count
    with path.open("wb") as file:
        file.seek(start)
        for number, picture in pictures:
            ids.append(number)
            hashed.update(picture.data)
            file.write(picture.data)
        if len(ids) != count:
            raise ValueError(f"{len(ids)} images of {count}")
        column = np.array(ids, dtype="<i8").tobytes()
        hashed.update(column)
        file.seek(0)
        file.write(header(count, size, hashed.hexdigest()) + column)


def read(path: Path, size: int) -> Pixels:
    """Open the images of a file; only its header and the ids are read.

    Raises:
        FairgenError: it is no such file, is incomplete, or has images of another size.
    """
    try:
        about, start = safetensors_header.read(path)
        content = json.loads(about["__metadata__"]["fairgen"])["content"]
        first, (begin, end) = about["id"]["data_offsets"][0], about["pixels"]["data_offsets"]
        shape = tuple(about["pixels"]["shape"])
        if os.stat(path).st_size != start + end or shape[1:] != (size, size, 3):
            raise ValueError(f"images of {shape[1:]}, {start + end} bytes")
    except (ValueError, KeyError, TypeError) as error:
        raise FairgenError(
            f"{path}: no complete file of decoded images with {size} pixels ({error}); delete it and call"
            " snakemake again"
        ) from error
    ids = np.fromfile(path, dtype="<i8", count=shape[0], offset=start + first)
    mapped = (
        np.memmap(path, mode="r", offset=start + begin, shape=shape)
        if shape[0]
        else np.empty(shape, dtype=np.uint8)
    )
    return Pixels(path, np.asarray(mapped), ids, content)
