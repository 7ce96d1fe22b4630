"""One process for the adapters of a group: the bytes, logs, curves and resume points of jobs of their own."""

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import KILLED, SETTINGS, Bench, build
from workflows import PROJECT

from fairgen.core import lineage, parquet
from fairgen.core.callback import MONITOR
from fairgen.generate import adapt, training
from fairgen.generate.kept import Kept
from fairgen.models import diffusion

WATCHED = {"curves": True, "tracker": "none", "near": 0, "samples": {"images": 0, "at": []}}
CHOSEN = {"select": "held_out", "threads": 1}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    found, handlers = build(tmp_path), logging.getLogger().handlers[:]
    rows = {"id": range(8), "group": ["g"] * 8, "cluster": [0] * 5 + [1] * 3}
    parquet.write(tmp_path / "c.parquet", rows, {"g": {"held_out": [[6, 7], [0, 1]]}})
    monkeypatch.setenv(MONITOR, json.dumps(WATCHED))
    yield found
    for handler in logging.getLogger().handlers[len(handlers) :]:
        logging.getLogger().removeHandler(handler)
        handler.close()
    lineage.current = lineage.Lineage()


def words(bench: Bench, folder: str, cluster: int, settings: dict, together: int) -> list[str]:
    """The command line of a cluster's job."""
    place = bench.folder / folder
    inputs = {name: bench.folder / f"{file}.parquet" for name, file in zip(*INPUTS, strict=True)}
    options = {**inputs, "group": "g", "cluster": cluster, "adapter": place / f"{cluster}.safetensors"}
    options |= {"log": place / f"{cluster}.log", "together": together, "settings": json.dumps(settings)}
    return [word for name, value in options.items() for word in (f"--{name}", str(value))]


INPUTS = ("clusters", "split", "prior"), ("c", "s", "drawn")


def made(bench: Bench, folder: str) -> dict[str, bytes]:
    """Adapters and curves in a folder."""
    files = sorted(path for path in (bench.folder / folder).iterdir() if path.suffix != ".log")
    return {path.name: path.read_bytes().replace(f"/{folder}/".encode(), b"/") for path in files}


@pytest.mark.parametrize(
    ("name", "recipe"), [("lora", {"dora": True}), ("full", {"text_lr": 0}), ("full", {"text_lr": 1e-4})]
)
def test_one_process_leaves_what_jobs_of_their_own_do(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str, recipe: dict
) -> None:
    settings = {**SETTINGS[name], "recipe": {**SETTINGS[name]["recipe"], "steps": 3, **recipe}, **CHOSEN}
    for cluster in range(2):
        adapt.main(words(bench, "alone", cluster, settings, 1))
    loaded, load = [], diffusion.load_vae
    monkeypatch.setattr(diffusion, "load_vae", lambda base: (loaded.append(1), load(base))[1])
    for cluster in range(2):
        adapt.main(words(bench, "together", cluster, settings, 2))
    assert len(loaded) == 1
    assert made(bench, "together") == made(bench, "alone")
    assert len(made(bench, "alone")) == 4
    for cluster in range(2):
        log = (bench.folder / f"together/{cluster}.log").read_text()
        assert f"g/{cluster}: 2 held-out images" in log
        assert f"g/{1 - cluster}: 2 held-out images" not in log


def test_a_killed_process_goes_on_with_the_cluster_that_it_was_at(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**SETTINGS["lora"], **CHOSEN}
    for cluster in range(2):
        adapt.main(words(bench, "alone", cluster, settings, 1))
    monkeypatch.setenv("FAIRGEN_CHECKPOINT_SECONDS", "0")
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    late = KILLED.replace("== 4:", "== 4 and '.1.work' in str(self.folder):")
    command = [
        sys.executable,
        "-c",
        late,
        "fairgen.generate.adapt",
        *words(bench, "together", 0, settings, 2),
    ]
    assert subprocess.run(command, capture_output=True).returncode == -signal.SIGKILL
    assert not list((bench.folder / "together").glob("*.safetensors"))
    trained, train = [], training.train
    monkeypatch.setattr(training, "train", lambda *given: (trained.append(given[4]), train(*given))[1])
    for cluster in range(2):
        adapt.main(words(bench, "together", cluster, settings, 2))
    assert trained == ["g/1"]
    assert "goes on from {'step': 4" in (bench.folder / "together/1.log").read_text()
    assert made(bench, "together") == made(bench, "alone")


def test_weights_begin_as_in_a_training_of_their_own(base: object) -> None:
    import torch
    from adapting import adapt_settings

    settings, kept = adapt_settings("lora", base), Kept()
    kept.denoiser(settings, base, 1, training.trainable)
    _, again = kept.denoiser(settings, base, 2, training.trainable)
    after = torch.get_rng_state()
    _, alone = Kept().denoiser(settings, base, 2, training.trainable)
    assert all(torch.equal(one, other) for one, other in zip(again, alone, strict=True))
    assert torch.equal(after, torch.get_rng_state())
