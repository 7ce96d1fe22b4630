"""On a GPU: the same numbers as on the CPU, CUDA graphs that change none of them, resumed jobs, and the whole
workflow.

All of it is skipped where there is no CUDA device.
"""

import dataclasses
import json
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import flow_miniatures
import miniatures
import numpy as np
import pytest
import torch
from adapting import adapt_settings, changed
from bench import SETTINGS, build
from chains import base_of, chain
from safetensors.torch import load_file
from workflows import TINY, Workflow

from fairgen.core import devices
from fairgen.embedded import birds
from fairgen.generate import batch_size, cuda_graphs, training, training_shared
from fairgen.generate.kept import Kept
from fairgen.generate.solver import Solver, sample_images
from fairgen.models import base_model, diffusion, lora, text_encoders
from fairgen.workflow.method_chain import merged

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

FLOW = flow_miniatures.ARCHITECTURES
EVERY = pytest.mark.parametrize("architecture", [*miniatures.ARCHITECTURES, *FLOW])
TEXT, CLASS = "a landbird on land V", "a landbird on land"
FULL = {"accumulate": 2, "ema": 0.9, "schedule": "cosine", "prior_weight": 1.0, "prior_batch": 2, "steps": 6}
REPLAYED = FULL["steps"] - cuda_graphs.WARM_UP


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The GPU for this process, as a job has it; handed back afterwards."""
    held = []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", os.environ.get("CUDA_VISIBLE_DEVICES", "0"))
    monkeypatch.setattr(devices, "asked", 1)
    monkeypatch.setattr(devices, "held", held)
    yield
    for lock in held:
        lock.close()


@pytest.fixture(scope="module")
def every_folder(folders: dict, flow_folders: dict) -> dict[str, Path]:
    """A random miniature of each architecture."""
    return folders | {name: flow_folders[name] for name in FLOW}


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.stack([birds.users(5, "train", "landbird", "land", i).pixels for i in range(6)])


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each replay of a graph."""
    found, replay = [], torch.cuda.CUDAGraph.replay
    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", lambda self: (found.append(1), replay(self))[1])
    return found


def trained(
    settings: object, base: base_model.Base, pixels: np.ndarray
) -> tuple[dict[str, torch.Tensor], list[float]]:
    """Tensors of one adapter and its losses."""
    unet, losses = training.train(settings, base, (TEXT, pixels), [(CLASS, pixels)], "g/0")
    state = lora.lora_state(unet) if settings.kind == "lora" else unet.state_dict()
    return {name: x.detach().float().cpu() for name, x in state.items()}, losses["loss"]


def distance(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> float:
    """Norm of the difference over the norm of all tensors."""
    assert found.keys() == wanted.keys()
    apart = sum((found[name] - x).double().square().sum() for name, x in wanted.items())
    return (apart / sum(x.double().square().sum() for x in wanted.values())).sqrt().item()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("kind", ["lora", "dora", "full"])
@EVERY
def test_a_graph_changes_no_number(
    every_folder: dict,
    pixels: np.ndarray,
    gpu: None,
    replays: list,
    monkeypatch: pytest.MonkeyPatch,
    architecture: str,
    kind: str,
    dtype: str,
) -> None:
    base = base_of(every_folder[architecture], dtype=dtype)
    own = {"min_snr": 0} if architecture in FLOW else {}
    settings = changed(
        adapt_settings("full" if kind == "full" else "lora", base, **own), **FULL, dora=kind == "dora"
    )
    found, losses = trained(settings, base, pixels)
    assert len(replays) == REPLAYED
    monkeypatch.setattr(cuda_graphs, "WARM_UP", 99)
    wanted, plain = trained(settings, base, pixels)
    assert len(replays) == REPLAYED
    assert losses == pytest.approx(plain, rel=1e-3)
    assert distance(found, wanted) < 1e-4


def test_what_cannot_be_recorded_goes_on_without(
    folders: dict,
    pixels: np.ndarray,
    gpu: None,
    replays: list,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    base = base_of(folders["sd15"])
    settings = changed(adapt_settings("lora", base), **FULL)
    wanted, _ = trained(settings, base, pixels)
    count, row_losses = len(replays), training.row_losses

    def waiting(*words: object) -> torch.Tensor:
        loss = row_losses(*words)
        return loss + 0 * loss.sum().item()

    monkeypatch.setattr(training, "row_losses", waiting)
    found, _ = trained(settings, base, pixels)
    assert count == len(replays) == REPLAYED
    assert "no CUDA graph" in caplog.text
    assert distance(found, wanted) < 1e-4


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_training_agrees_with_the_cpu(
    base: base_model.Base, pixels: np.ndarray, gpu: None, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Within float32 rounding, so without the TensorFloat-32 that convolutions take by default."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    settings = changed(adapt_settings(kind, base), **FULL)
    found, losses = trained(settings, base, pixels)
    monkeypatch.setattr(devices, "held", [])
    monkeypatch.setattr(devices, "asked", 0)
    wanted, on_cpu = trained(settings, base, pixels)
    assert losses == pytest.approx(on_cpu, rel=1e-3)
    assert distance(found, wanted) < 1e-2


def test_a_shared_batch_trains_the_same_adapters(
    base: base_model.Base, pixels: np.ndarray, gpu: None, replays: list
) -> None:
    settings = changed(adapt_settings("lora", base), **FULL)
    clusters = {"g/0": pixels[:3], "g/1": pixels[3:]}
    found = training_shared.train(settings, base, TEXT, clusters, [(CLASS, pixels)], "g")
    assert len(replays) == REPLAYED
    for (name, own), (state, losses) in zip(clusters.items(), found, strict=True):
        unet, alone = training.train(settings, base, (TEXT, own), [(CLASS, pixels)], name)
        wanted = {key: x.detach() for key, x in lora.lora_state(unet).items()}
        assert losses["loss"] == pytest.approx(alone["loss"], rel=1e-2)
        assert distance({key: x.detach() for key, x in state.items()}, wanted) < 1e-2


def state_of(unet: torch.nn.Module, kind: str) -> dict[str, torch.Tensor]:
    """The tensors of an adapter as they are now."""
    tensors = lora.lora_state(unet) if kind == "lora" else unet.state_dict()
    return {name: x.detach().float().cpu() for name, x in tensors.items()}


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_one_process_records_a_step_once_and_trains_the_same_adapters(
    base: base_model.Base, pixels: np.ndarray, gpu: None, replays: list, kind: str
) -> None:
    settings, kept = changed(adapt_settings(kind, base), **FULL), Kept()
    clusters = {"g/0": pixels[:3], "g/1": pixels[3:]}
    given = {name: (settings, base, (TEXT, own), [(CLASS, pixels)], name) for name, own in clusters.items()}
    found = [state_of(training.train(*words, kept=kept)[0], kind) for words in given.values()]
    assert len(replays) == REPLAYED + FULL["steps"]
    for own, words in zip(found, given.values(), strict=True):
        assert distance(own, state_of(training.train(*words)[0], kind)) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["lora", "full"])
def test_compiled_blocks_train_the_same_adapter(
    base: base_model.Base, pixels: np.ndarray, gpu: None, replays: list, kind: str, dtype: str
) -> None:
    settings = changed(adapt_settings(kind, dataclasses.replace(base, dtype=dtype)), **FULL)
    wanted, losses = trained(settings, settings.base, pixels)
    found, compiled = trained(changed(settings, compile=True), settings.base, pixels)
    assert len(replays) == 2 * REPLAYED
    assert compiled == pytest.approx(losses, rel=1e-2)
    assert distance(found, wanted) < 1e-2


@pytest.mark.parametrize("memory", ["normal", "low"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("kind", ["lora", "full"])
@EVERY
def test_the_chain_runs_on_every_architecture(
    every_folder: dict, tmp_path: Path, gpu: None, architecture: str, kind: str, dtype: str, memory: str
) -> None:
    base = base_of(every_folder[architecture], dtype=dtype, memory=memory)
    rows = chain(tmp_path, base, kind, flow=architecture in FLOW)
    assert len({row["image"]["bytes"] for row in rows}) == 3


def drawn(base: base_model.Base, solver: Solver) -> np.ndarray:
    """Three images."""
    text = text_encoders.encode_prompts(base, ["a duck on lake", ""])
    unet, vae = diffusion.load_denoiser(base), diffusion.load_vae(base)
    return np.stack(list(sample_images(unet, vae, base, text, [1, 2, 3], solver))).astype(int)


def test_images_agree_with_the_cpu_and_do_not_depend_on_the_batch(
    base: base_model.Base, gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    solver = Solver("dpmsolver++", 4, 2.0, "", 3)
    together, apart = drawn(base, solver), drawn(base, dataclasses.replace(solver, batch=1))
    half = drawn(dataclasses.replace(base, dtype="bfloat16"), solver)
    monkeypatch.setattr(devices, "held", [])
    monkeypatch.setattr(devices, "asked", 0)
    on_cpu = drawn(base, solver)
    assert np.abs(together - apart).mean() < 0.5
    assert np.abs(together - on_cpu).mean() < 0.5
    assert np.abs(half - on_cpu).mean() < 8


@EVERY
def test_a_batch_of_free_memory_and_guidance_in_an_interval(
    every_folder: dict, gpu: None, architecture: str
) -> None:
    base, kind = base_of(every_folder[architecture]), "euler" if architecture in FLOW else "dpmsolver++"
    solver = Solver(kind, 4, 2.0, "", 2, guidance_interval=(0.3, 0.9))
    unet, vae = diffusion.load_denoiser(base), diffusion.load_vae(base)
    text, notes = text_encoders.encode_prompts(base, ["a duck on lake", ""]), {}
    asked = dataclasses.replace(solver, batch=0)
    settled = batch_size.settled(asked, notes, unet, vae, base, text, 300)
    assert 1 < settled.batch == notes["batch"] <= batch_size.MOST
    images = [
        np.stack(list(sample_images(unet, vae, base, text, [1, 2, 3], own))) for own in (solver, settled)
    ]
    assert np.abs(images[0].astype(int) - images[1]).mean() < 0.5


@pytest.mark.slow
def test_a_compiled_denoiser_draws_the_same_images(base: base_model.Base, gpu: None) -> None:
    solver = Solver("dpmsolver++", 4, 2.0, "", 2)
    assert np.abs(drawn(base, dataclasses.replace(solver, compile=True)) - drawn(base, solver)).mean() < 0.5


@pytest.mark.parametrize(
    "name", ["lora", "shared", "full", "full, no text", "sample", "pretrain", "groupdro"]
)
def test_a_killed_job_goes_on(tmp_path: Path, name: str) -> None:
    """Adapters are trained long enough for a graph before the kill and after it."""
    name, *without_text = name.split(", ")
    bench, settings = build(tmp_path), SETTINGS[name]
    if name in ("lora", "shared", "full"):
        changes = {"steps": 4 + cuda_graphs.WARM_UP + 2, **({"text_lr": 0} if without_text else {})}
        settings = {**settings, "recipe": {**settings["recipe"], **changes}}
    run = partial(bench.run, name, gpu=1, settings=settings)
    assert run().returncode == 0
    assert "computes on GPU" in bench.log()
    expected = bench.output.read_bytes()
    bench.output.rename(bench.folder / "expected")
    assert run(killed=True).returncode == -signal.SIGKILL
    done = run()
    assert done.returncode == 0, done.stderr
    assert "goes on from" in bench.log()
    if name == "sample":
        assert bench.output.read_bytes() == expected
    else:
        assert distance(load_file(bench.output), load_file(bench.folder / "expected")) < 1e-3


def test_the_workflow_runs(workflow: Workflow) -> None:
    workflow.edit(merged(TINY, {"compare": ["lora", "dreambooth"], "datasets": {"birds": {"gpu": 1}}}))
    words = ["results/birds/worst_group.json", "--resources", "gpu=1"]
    done = workflow.run(*words, cores=8)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((workflow.folder / "results/birds/worst_group.json").read_text())
    assert found["results"].keys() == {"0.999"}
    logs = [log.read_text() for log in (workflow.folder / "results/logs/birds").rglob("*.log")]
    assert sum("computes on GPU" in log for log in logs) > 10
    again = workflow.run(*words, cores=8)
    assert "Nothing to be done" in again.stdout + again.stderr
