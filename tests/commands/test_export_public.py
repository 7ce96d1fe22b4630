"""What others may read: no places of this machine, by what is written and by what is looked through."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from fairgen.commands.exports import public, record
from fairgen.core import places


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("runwayml/sd#runwayml/sd@12", "runwayml/sd#runwayml/sd@12"),
        ("bases/alice/sd15#0f", "sd15#0f"),  # a folder that reads like a hub id
        ("alice/sd15#0f", "sd15#0f"),
        ("/home/me/models/sd.safetensors#0f", "sd.safetensors#0f"),
        ("fairgen:embedded/weights/diffusion#0f", "fairgen:embedded/weights/diffusion#0f"),
    ],
)
def test_a_base_is_of_the_hub_by_its_identity(name: str, said: str) -> None:
    assert places.base(name) == said


def test_facts_are_cleaned_however_deep() -> None:
    given = {
        "base": "0f",
        "prompt": "a V/S cat",
        "classifier": {"pretrained": "weights/mine.safetensors", "args": [1, "/home/me/x"]},
        "settings": {"base": {"model": "me/private", "config": "c/d", "revision": None}, "lr": 1e-4},
    }
    assert public.facts(given) == {
        "base": "0f",
        "prompt": "a V/S cat",
        "classifier": {"pretrained": "mine.safetensors", "args": [1, "x"]},
        "settings": {"base": {"model": "private", "config": "d", "revision": None}, "lr": 1e-4},
    }
    hub = {"base": "me/known@1", "settings": {"base": {"model": "me/known"}}}
    assert public.facts(hub) == hub
    assert given["classifier"]["pretrained"] == "weights/mine.safetensors"


INNER = [{"text_config": {"_name_or_path": name}, "b": {"_name_or_path": ""}} for name in ("/x/y", "sd")]


def test_configs_forget_where_they_were_loaded(tmp_path: Path) -> None:
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet/config.json").write_text(
        json.dumps({"_name_or_path": "/home/me/sd/unet", "a": INNER[0]})
    )
    (tmp_path / "other.json").write_text("[1]")
    public.rename(tmp_path, "sd")
    assert json.loads((tmp_path / "unet/config.json").read_text()) == {"_name_or_path": "sd", "a": INNER[1]}
    assert (tmp_path / "other.json").read_text() == "[1]"


def test_a_scorer_that_lies_here_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine/clip").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert [places.scorer(x) for x in ("mine/clip", "openai/clip", "/gone/clip")] == [
        "clip",
        "openai/clip",
        "clip",
    ]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "/home/me/results/project/results/toy/any/m/selection.parquet",
            "results/toy/any/m/selection.parquet",
        ),
        ("results/results/any/m/selection.parquet", "results/results/any/m/selection.parquet"),
        ("/x/results/secret/a.safetensors", "a.safetensors"),
        ("/x/results/toy/any/m/adapters/g/0.safetensors", "results/toy/any/m/adapters/g/0.safetensors"),
    ],
)
def test_a_source_is_told_from_the_results_on(source: str, said: str) -> None:
    assert record.within_results(Path(source)) == said


def test_places_in_files_are_found(tmp_path: Path) -> None:
    """In JSON, in JSON inside a header, as a home folder inside a sentence; not in addresses and words."""
    documents = {
        "absolute": {"a": [{"b": "/data/models/x"}]},
        "home": {"a": "read from /home/me/x at noon"},
        "windows": {"a": "C:\\Users\\me\\x"},
        "tilde": {"a": "~/models/x"},
        "fine": {"a": "https://example.org/home/x/y", "b": "a/b", "c": "/", "d": "group/0"},
        "words": {"vocab": {"/usr/bin": 1}, "model": {"merges": ["/usr/bin x"]}},
    }
    for name, document in documents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    inner = {"fairgen": json.dumps({"settings": {"base": {"model": "/data/models/x"}}})}
    save_file({"x": np.zeros(1)}, tmp_path / "header.safetensors", metadata=inner)
    (tmp_path / "none.safetensors").write_bytes(b"anything else that is long enough")
    told = public.faults(tmp_path, sorted(tmp_path.iterdir()))
    assert [line.partition(" names a place on a machine ")[0] for line in told] == [
        "absolute.json",
        "header.safetensors",
        "home.json",
        "tilde.json",
        "windows.json",
    ]
    assert "(/home/me/x)" in told[2]
