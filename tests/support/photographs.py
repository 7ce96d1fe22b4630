"""A folder of faces in the layout that `--world faces` reads, of noise."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from fairgen.core.parquet import IMAGE
from fairgen.embedded import faces


def encoded(pixels: np.ndarray) -> bytes:
    """A picture (h, w, 3) uint8 as JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG")
    return buffer.getvalue()


def write(path: Path, pictures: list[bytes], columns: dict[str, list[Any]]) -> None:
    """A Parquet file of images with labels."""
    rows = [{"bytes": content, "path": f"{i}.jpg"} for i, content in enumerate(pictures)]
    pq.write_table(pa.table({"image": pa.array(rows, IMAGE), **columns}), path)


def photographs(folder: Path, count: int = 40) -> Path:
    """`count` faces of CelebA, and as many of UTKFace, of ages from 1 to 80, the last with the first's
    picture.
    """
    rng = np.random.default_rng(0)
    noise = [encoded(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)) for _ in range(2 * count)]
    names = {"Male", "Young", *(name for name, _ in (*faces.TRAITS, *faces.DETAILS))}
    attributes = {name: rng.choice([-1, 1], count).tolist() for name in sorted(names)}
    write(folder / "celeba-64.parquet", noise[:count], attributes)
    ages = np.linspace(1, 80, count).astype(int).tolist()
    labels = {
        "gender": ["male", "female"] * (count // 2),
        "race": ["White", "Black", "Asian", "Others"] * (count // 4),
    }
    write(folder / "utkface-64.parquet", [*noise[count:-1], noise[count]], {"age": ages, **labels})
    return folder
