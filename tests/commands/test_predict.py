"""`fairgen predict`: a trained model labels a folder from its own file alone."""

import csv
import io
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import miniatures
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from fairgen import cli
from fairgen.classify import finetune
from fairgen.core import images, parquet
from fairgen.data import pixels
from fairgen.models import adapters, classifier

SETTINGS = classifier.Classifier("resnet10t", {"channels": [8, 8, 16, 16], "stem_width": 8}, False, 32)
CLASSES = ["dark, very", "bright"]


def picture(level: int, side: int = 32) -> Image.Image:
    pixels = np.random.default_rng(level).integers(level, level + 40, (side, side, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A network, as `finetune` saves it."""
    network = classifier.build(SETTINGS, 2, 3)
    network(torch.randint(0, 255, (16, 3, 32, 32)))  # running statistics
    path = tmp_path / "model.safetensors"
    classifier.save(path, network, {"gradient_steps": 5, **classifier.identity(SETTINGS, CLASSES)})
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images of several kinds, and files that are none."""
    folder = tmp_path / "new"
    (folder / "deeper").mkdir(parents=True)
    picture(10).save(folder / "a.png")
    picture(200, 50).convert("L").save(folder / "deeper/b.jpg")
    picture(90).save(folder / "c.webp", lossless=True)
    buffer = io.BytesIO()
    picture(10).save(buffer, "PNG")
    (folder / "cut.png").write_bytes(buffer.getvalue()[:200])
    (folder / "notes.txt").write_text("no image")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / ".hidden").write_text("")
    return folder


def call(*words: object) -> int:
    return cli.main(["predict", *map(str, words)])


def test_images_are_labelled_as_the_model_sees_them(model: Path, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    assert call(model, folder, "--output", output, "--batch", 2) == 0
    with output.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [r["path"] for r in found] == [
        "a.png",
        "c.webp",
        "cut.png",
        "empty.jpg",
        "notes.txt",
        "deeper/b.jpg",
    ]
    network, _, classes = classifier.load(model)
    good = [r for r in found if not r["reason"]]
    shares = classifier.predict(
        network, classifier.to_pixels(images.load(folder, [r["path"] for r in good], 32, None))
    ).softmax(1)
    assert len(good) == 3
    for row, own in zip(good, shares.tolist(), strict=True):
        assert row["predicted"] == classes[int(np.argmax(own))]
        assert [float(row[f"probability_{c}"]) for c in CLASSES] == pytest.approx(own, abs=1e-6)


def test_unreadable_files_are_listed_with_reasons(
    model: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    output = tmp_path / "out.csv"
    assert call(model, folder, "--output", output) == 0
    with output.open(newline="") as file:
        left = {r["path"]: r for r in csv.DictReader(file) if r["reason"]}
    assert left.keys() == {"cut.png", "notes.txt", "empty.jpg"}
    assert all(r["predicted"] == "" for r in left.values())
    assert left["cut.png"]["reason"].startswith("image cannot be decoded: ")
    assert left["notes.txt"]["reason"] == "not an image: its content is of no known image format"
    assert left["empty.jpg"]["reason"] == "file is empty: it has no bytes"
    shown = capsys.readouterr()
    assert "3 images labelled, 3 not" in shown.out
    assert shown.err.count("not labelled: ") == 3


def test_a_folder_without_a_picture_is_no_success(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd/a.png").write_bytes(b"no picture")
    assert call(model, tmp_path / "odd", "--output", tmp_path / "out.csv") == 1
    assert "could be labelled" in capsys.readouterr().err
    assert "a.png" in (tmp_path / "out.csv").read_text()


def test_a_name_that_is_no_utf8_does_not_stop_the_run(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / os.fsdecode(b"\xff.png")).write_bytes(images.encode_png(np.asarray(picture(10))))
    assert call(model, folder, "--output", tmp_path / "out.csv") == 0
    assert b"\xff.png" in (tmp_path / "out.csv").read_bytes()


def test_no_file_ends_in_a_traceback(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damaged files whose decoders raise errors of other types, pipes, dead links, deep images of unknown
    scale.
    """
    folder = tmp_path / "odd"
    (folder / "deeper").mkdir(parents=True)
    picture(90).save(folder / "a.png")
    for fmt in ("AVIF", "DDS", "WEBP", "JPEG2000"):
        buffer = io.BytesIO()
        picture(90, 64).save(buffer, fmt)
        content = buffer.getvalue()
        start = content.find(b"mdat") + 4 if fmt == "AVIF" else len(content) // 2
        (folder / f"{fmt}.jpg").write_bytes(
            content[:start] + (bytes(len(content) - start) if fmt == "AVIF" else b"")
        )
    Image.fromarray(np.full((9, 9), 3.5, dtype=np.float32)).save(folder / "float.tif")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "dead.jpg").symlink_to(folder / "gone.jpg")
    (folder / os.fsdecode(b"\xfe.png")).write_bytes(b"x")
    scandir = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("deeper"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    output = tmp_path / "out.csv"
    assert call(model, folder, "--output", output) == 0
    with output.open(newline="", errors="surrogateescape") as file:
        found = {r["path"]: r["reason"].split(":")[0] for r in csv.DictReader(file)}
    assert found == {
        "a.png": "",
        **dict.fromkeys(
            ("AVIF.jpg", "DDS.jpg", "WEBP.jpg", "JPEG2000.jpg", "float.tif"), "image cannot be decoded"
        ),
        "pipe.jpg": "not an image",
        "dead.jpg": "file cannot be read",
        "deeper": "folder cannot be read",
        os.fsdecode(b"\xfe.png"): "not an image",
    }


@pytest.mark.parametrize(
    "broken",
    ["missing", "text", "no metadata", "stage 1", "adapter", "damaged", "lost", "folder", "empty", "output"],
)
def test_mistakes_end_in_one_line(
    broken: str, model: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    output = tmp_path / "out.csv"
    named = {
        "missing": "no such file",
        "text": "no weights that fairgen has written",
        "folder": "is no folder",
    }
    named |= {
        "no metadata": "no metadata of fairgen",
        "stage 1": "does not say which classifier",
        "empty": "holds no file",
    }
    named |= {
        "adapter": "does not say which classifier",
        "damaged": "no weights that fairgen has written (Expecting",
    }
    named |= {
        "lost": "model.safetensors does not hold the weights of this network: fc.bias is missing; it is of"
        " another classifier"
    }
    if broken == "missing":
        model.unlink()
    elif broken == "adapter":
        adapters.write_empty(model, {"images": 0, "reason": "borrows"})
    elif broken == "damaged":
        save_file(load_file(model), model, {"fairgen": "x"})
    elif broken == "lost":
        miniatures.spoil(model, "dropped", "fc.bias")
    elif broken == "text":
        model.write_text("x")
    elif broken == "no metadata":
        save_file(load_file(model), model)
    elif broken == "stage 1":
        classifier.save(model, classifier.build(SETTINGS, 2, 3), {"gradient_steps": 5})
    elif broken == "output":
        output = tmp_path / "nowhere/out.csv"
    elif broken == "folder":
        folder = tmp_path / "nowhere"
    else:
        folder = tmp_path / "empty"
        folder.mkdir()
    assert call(model, folder, "--output", output) == 1
    error = capsys.readouterr().err
    assert error.startswith("fairgen predict: ")
    assert error.count("\n") == 1
    assert named.get(broken, "cannot write") in error
    assert not output.exists()


def test_metadata_changes_no_tensor(model: Path, tmp_path: Path) -> None:
    network, settings, classes = classifier.load(model)
    assert (settings, classes) == (SETTINGS, CLASSES)
    classifier.save(tmp_path / "bare.safetensors", network)
    before, after = load_file(model), load_file(tmp_path / "bare.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[k], after[k]) for k in before)


def test_finetune_writes_models_that_predict(folder: Path, tmp_path: Path) -> None:
    """The file of a whole finetune job labels images, without asking the hub for the weights that training
    began from.
    """
    rows = [{"id": i, "path": "a.png", "group": "ab"[i % 2], "target": "ab"[i % 2]} for i in range(12)]
    split = {key: [r[key] for r in rows] for key in rows[0]} | {
        "split": ["train", "train", "validation", "validation", "test", "test"] * 2
    }
    parquet.write(tmp_path / "split.parquet", split, {"root": str(folder)})
    pixels.write(tmp_path / "pixels", 12, 32, enumerate(images.load(folder, split["path"], 32, None)))
    recipe = {
        "steps": 2,
        "batch": 4,
        "lr": 0.001,
        "weight_decay": 0.0,
        "optimizer": "adamw",
        "evaluate_every": 1,
        "select": "groups",
        "patience": 0,
    }
    settings = finetune.Finetune(
        "erm", None, recipe, SETTINGS, "float32", ["a", "b"], {"a": "a", "b": "b"}, ["a", "b"]
    )
    paths = SimpleNamespace(
        split=tmp_path / "split.parquet", pixels=tmp_path / "pixels", weights=[], selection=[]
    )
    paths.seed, paths.work = "0", None
    finetune.work(
        settings,
        SimpleNamespace(**vars(paths), model=tmp_path / "m.safetensors", predictions=tmp_path / "p.parquet"),
    )
    found = classifier.metadata(tmp_path / "m.safetensors")
    assert found["gradient_steps"] == 2
    assert call(tmp_path / "m.safetensors", folder, "--output", tmp_path / "out.csv") == 0
    hub = classifier.identity(replace(SETTINGS, pretrained=True), ["a", "b"])
    classifier.save(tmp_path / "hub.safetensors", classifier.build(SETTINGS, 2, 0), hub)
    assert classifier.load(tmp_path / "hub.safetensors")[1].pretrained
