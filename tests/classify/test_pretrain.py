"""The script that makes the embedded model, on a few steps."""

import json
import sys
from pathlib import Path

import pytest

from fairgen.embedded import drawings, tiny, train_model


def test_all_parts_write_the_folder_that_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = {str(p.relative_to(tiny.FOLDER)) for p in tiny.FOLDER.rglob("*") if p.is_file()}
    monkeypatch.setattr(drawings, "DRAWINGS", 150)
    for _, settings in train_model.PARTS.values():
        monkeypatch.setitem(settings, "steps", 2)
    for name in ("FOLDER", "DIFFUSION", "CLIP", "BACKBONE"):
        monkeypatch.setattr(tiny, name, getattr(tiny, name))
    monkeypatch.setattr(sys, "argv", ["pretrain", "--folder", str(tmp_path), "--threads", "1"])
    train_model.main()
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()} == shipped
    record = json.loads((tmp_path / "record.json").read_text())
    assert list(record["parts"]) == ["backbone", "clip", "scorer", "vae", "unet"]
    assert len(record["sha256"]) == 5
