"""Decoded images on disk: the file and its reader, and the stage that makes it."""

import hashlib
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from safetensors import safe_open

from fairgen.core import images, parquet
from fairgen.core.errors import FairgenError
from fairgen.data import decode, embed, pixels
from fairgen.generate import material, recipe
from fairgen.models import encoder
from fairgen.models.base_model import Base


def noise(count: int, size: int = 24) -> np.ndarray:
    """Random pictures (n, size, size + 4, 3) uint8."""
    return np.random.default_rng(count).integers(0, 255, (count, size, size + 4, 3), dtype=np.uint8)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three files and a Parquet file of three images, with their index; rows of the Parquet file come in
    another order.
    """
    encoded = [images.encode_png(picture) for picture in noise(6)]
    for i, content in enumerate(encoded[:3]):
        (tmp_path / f"{i}.png").write_bytes(content)
    parquet.write_images(tmp_path / "d.parquet", [(x, {"n": 0}) for x in encoded[3:]], {"n": pa.int32()}, {})
    files = ["d.parquet#2", "0.png", "1.png", "d.parquet#0", "2.png", "d.parquet#1"]
    hashes = [hashlib.sha256(encoded[i]).hexdigest() for i in (5, 0, 1, 3, 2, 4)]
    ids = [2**62 + 7, 11, 12, 13, 14, 15]
    parquet.write(
        tmp_path / "index.parquet", {"id": ids, "path": files, "hash": hashes}, {"root": str(tmp_path)}
    )
    return tmp_path


def run(folder: Path, size: int = 16, workers: int = 2) -> Path:
    """Decode the index of a folder."""
    paths = SimpleNamespace(
        index=folder / "index.parquet", pixels=folder / "out", resolution=str(size), workers=str(workers)
    )
    decode.work(decode.Decode(), paths)
    return paths.pixels


def test_every_image_stands_under_its_id(data: Path) -> None:
    rows, found = parquet.rows(data / "index.parquet"), pixels.read(run(data), 16)
    wanted = images.load(data, [r["path"] for r in rows], 16, None)
    assert np.array_equal(found.images[found.numbers([r["id"] for r in rows])], wanted)
    assert np.array_equal(found.images[found.numbers([13, 13, rows[0]["id"]])], wanted[[3, 3, 0]])
    assert not found.images.flags.writeable


def test_the_file_is_safetensors(data: Path) -> None:
    with safe_open(run(data), framework="numpy") as file:
        assert list(file.keys()) == ["id", "pixels"]
        assert file.get_tensor("pixels").shape == (6, 16, 16, 3)
        assert sorted(file.get_tensor("id").tolist()) == sorted(
            parquet.read(data / "index.parquet")["id"].to_pylist()
        )
        assert json.loads(file.metadata()["fairgen"])["content"] == pixels.read(data / "out", 16).content


def test_the_bytes_do_not_depend_on_the_threads_and_the_hash_is_of_the_pixels(data: Path) -> None:
    one = run(data, workers=1).read_bytes()
    assert run(data, workers=3).read_bytes() == one
    before = pixels.read(data / "out", 16).content
    Image.fromarray(noise(1)[0]).save(data / "0.png")
    rows = parquet.rows(data / "index.parquet")
    rows[1]["hash"] = hashlib.sha256((data / "0.png").read_bytes()).hexdigest()
    parquet.write(data / "index.parquet", pa.Table.from_pylist(rows), {"root": str(data)})
    assert pixels.read(run(data), 16).content != before


def test_an_image_that_is_not_what_was_indexed_is_refused(data: Path) -> None:
    """Replaced, emptied, deleted; replaced in a Parquet file, or the file has fewer rows, or is deleted."""
    remedy = (
        r"since it was indexed; restore it, or index again \(snakemake --forcerun index with your target\)"
    )
    kept = (data / "1.png").read_bytes()
    (data / "1.png").write_bytes((data / "0.png").read_bytes())
    with pytest.raises(FairgenError, match=rf"^1\.png: the image has changed {remedy}"):
        run(data)
    (data / "1.png").write_bytes(b"")
    with pytest.raises(FairgenError, match=rf"^1\.png: the image is gone {remedy}"):
        run(data)
    (data / "1.png").unlink()
    with pytest.raises(FairgenError, match=rf"1\.png: the image is gone {remedy}"):
        run(data)
    (data / "1.png").write_bytes(kept)
    same = list(parquet.image_bytes(data / "d.parquet"))
    parquet.write_images(
        data / "d.parquet", [(same[i][1], {"n": 0}) for i in (0, 0, 2)], {"n": pa.int32()}, {}
    )
    with pytest.raises(FairgenError, match=rf"^d\.parquet#1: the image has changed {remedy}"):
        run(data)
    parquet.write_images(data / "d.parquet", [(x, {"n": 0}) for _, x in same[:2]], {"n": pa.int32()}, {})
    with pytest.raises(
        FairgenError,
        match=r"^d\.parquet#2: .* it is shorter than its labels; .* \(snakemake --forcerun index",
    ):
        run(data)
    (data / "d.parquet").unlink()
    with pytest.raises(
        FairgenError, match=r"^d\.parquet#2: image cannot be read from its Parquet file: .*Failed to open"
    ):
        run(data)


def test_parquet_files_are_read_once(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many images wait for a decoder at a time."""
    read, image_bytes = [], parquet.image_bytes
    monkeypatch.setattr(parquet, "image_bytes", lambda *given: read.append(given) or image_bytes(*given))
    monkeypatch.setattr(images, "CHUNK", 1)
    run(data)
    assert len(read) == 1


def many(count: int, size: int) -> Iterator[tuple[int, np.ndarray]]:
    """Pictures of one grey each, which is their id's last digits."""
    return ((1000 + i, np.full((size, size, 3), i % 256, dtype=np.uint8)) for i in range(count))


def test_neither_writing_nor_reading_holds_the_images(tmp_path: Path) -> None:
    """2000 images of 12 kB: 25 MB. A batch is 128 of them."""
    tracemalloc.start()
    pixels.write(tmp_path / "p", 2000, 64, many(2000, 64))
    _, writing = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    found = pixels.read(tmp_path / "p", 64)
    for _ in range(20):
        batch = found.images[np.random.default_rng(0).integers(0, 2000, 128)]
    _, reading = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert batch.shape == (128, 64, 64, 3)
    assert writing < 1e6
    assert reading < 2 * batch.nbytes + 1e6
    assert found.images[found.numbers([1000 + 777]), 0, 0, 0] == 777 % 256


def test_a_file_that_is_cut_off_or_of_another_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p"
    pixels.write(path, 9, 8, many(9, 8))
    with pytest.raises(
        FairgenError, match=r"p: no complete file of decoded images with 16 pixels .*; delete it"
    ):
        pixels.read(path, 16)
    whole = path.read_bytes()
    for content in (whole[:-1], whole[:100], whole[:5], b"", bytes(len(whole)), b"PAR1" + whole):
        path.write_bytes(content)
        with pytest.raises(FairgenError, match=r"p: no complete file of decoded images with 8 pixels"):
            pixels.read(path, 8)


def test_an_unfinished_file_has_no_header(tmp_path: Path) -> None:
    def breaks() -> Iterator[tuple[int, np.ndarray]]:
        yield from many(5, 8)
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        pixels.write(tmp_path / "p", 9, 8, breaks())
    with pytest.raises(FairgenError, match="no complete file"):
        pixels.read(tmp_path / "p", 8)
    with pytest.raises(ValueError, match="5 images of 9"):
        pixels.write(tmp_path / "p", 9, 8, many(5, 8))


def test_an_image_that_is_not_in_the_file_is_named(tmp_path: Path) -> None:
    pixels.write(tmp_path / "p", 9, 8, many(9, 8))
    found = pixels.read(tmp_path / "p", 8)
    with pytest.raises(FairgenError, match=r"p: image 1009 is not in it; delete it"):
        found.numbers([1000, 1009])
    assert found.numbers([]).shape == (0,)


def test_the_command_writes_it(data: Path) -> None:
    import subprocess
    import sys

    from workflows import PROJECT

    words = [
        "--index",
        "index.parquet",
        "--resolution",
        "16",
        "--workers",
        "2",
        "--pixels",
        "out/16.safetensors",
    ]
    command = [
        sys.executable,
        "-m",
        "fairgen.data.decode",
        "--settings",
        '{"threads":1}',
        *words,
        "--log",
        "log",
    ]
    done = subprocess.run(command, cwd=data, env={"PYTHONPATH": str(PROJECT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(pixels.read(data / "out/16.safetensors", 16).ids) == 6
    (data / "0.png").unlink()
    done = subprocess.run(command, cwd=data, env={"PYTHONPATH": str(PROJECT)}, capture_output=True, text=True)
    assert done.returncode == 1
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("fairgen")]
    assert said.startswith("fairgen decode: ") and "0.png: the image is gone" in said


def test_embed_and_adapt_refuse_a_changed_image_too(data: Path) -> None:
    rows = [{**r, "split": "train", "group": "g"} for r in parquet.rows(data / "index.parquet")]
    for name in ("index", "split"):
        parquet.write(data / f"{name}.parquet", pa.Table.from_pylist(rows), {"root": str(data)})
    (data / "2.png").write_bytes((data / "0.png").read_bytes())
    said = r"^2\.png: the image has changed since it was indexed"
    settings = embed.Embed(encoder.Encoder("clip", "fairgen:embedded/weights/clip"), 2)
    with pytest.raises(FairgenError, match=said):
        embed.work(settings, SimpleNamespace(index=data / "index.parquet", embeddings=data / "e.parquet"))
    base = {
        "model": "fairgen:embedded/weights/diffusion",
        "revision": None,
        "variant": None,
        "dtype": "float32",
        "resolution": 16,
    }
    steps = recipe.Recipe(1e-3, 9, 9, "constant", 0, 0, 0, 1, 1, False)
    given = recipe.Adapt("lora", steps, "V", 0, 0, 0, Base(**base), {"g": "a [V]"}, {"g": None}, 0)
    paths = SimpleNamespace(group="g", split=data / "split.parquet", prior=[], work=None)
    with pytest.raises(FairgenError, match=said):
        material.material(given, paths, dict.fromkeys((r["id"] for r in rows), 0), [0])
