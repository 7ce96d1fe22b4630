"""Losses on held-out images at fixed noise levels, and the early choice of a step by them."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from adapting import adapt_settings, changed
from bench import SETTINGS, Bench, build

from fairgen.core import callback, parquet
from fairgen.core.errors import FairgenError
from fairgen.embedded import birds
from fairgen.generate import held_out, text_adapters, training, training_shared
from fairgen.generate.held_out import Choice, Levels, Looks, Unseen, looking_steps
from fairgen.generate.material import held_out_ids
from fairgen.models import adapters, base_model, diffusion, lora, text_encoders
from fairgen.models.conditioning import Conditioning
from fairgen.monitor import curves

TEXT = "a V landbird on land"
ASKED = {"curves": True, "tracker": "none", "near": 40}
ASKED |= {"samples": {"images": 2, "at": [0, 1], "steps": 2, "guidance": 2}}


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.stack([birds.users(5, "train", "landbird", "land", i).pixels for i in range(8)])


@pytest.fixture(scope="module")
def unseen() -> Unseen:
    found = np.stack([birds.users(5, "validation", "landbird", "land", i).pixels for i in range(5)])
    return Unseen(found, np.tile([32, 32, 0, 0], (5, 1)))


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A job whose training is watched, and the artifact that it makes."""
    monkeypatch.setenv(callback.MONITOR, json.dumps(ASKED))
    callback.begin(tmp_path / "a.safetensors", {"hash": "mine", "stage": "adapt", "settings": {}})
    yield tmp_path / "a.safetensors"
    callback.end(False)


def test_a_run_is_looked_at_in_ten_places() -> None:
    assert sorted(looking_steps(240)) == [24 * i for i in range(11)]
    assert sorted(looking_steps(3)) == [0, 1, 2, 3]


def test_the_loss_is_the_mean_squared_error_under_noise_of_its_own(
    base: base_model.Base, unseen: Unseen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a denoiser that answers 0 it is the mean square of the noise, in batches and whole."""
    process, vae = diffusion.process(base), diffusion.load_vae(base)
    monkeypatch.setattr(diffusion, "predict", lambda unet, x, steps, text: torch.zeros_like(x))
    unet, text, settings = (
        torch.nn.Linear(1, 1),
        Conditioning(torch.zeros(1, 1, 1)),
        adapt_settings("lora", base),
    )
    unet.device = torch.device("cpu")
    found = []
    for size in (2, 16):
        own = changed(settings, batch=size)
        levels = Levels(process, vae, unseen, own, "g/0")
        assert [len(level) for level in levels.batches] == [-(-5 // size)] * len(held_out.LEVELS)
        found.append(levels.losses(unet, text, own))
    noise = torch.cat([batch.target for batch in levels.batches[0]])
    assert found[0] == pytest.approx([noise.square().mean().item()] * 4)
    assert found[0] == pytest.approx(found[1])
    assert torch.equal(noise, torch.cat([batch.target for batch in levels.batches[3]]))
    steps = [int(level[0].steps[0]) for level in levels.batches]
    assert steps == sorted(steps) and len(set(steps)) == 4


@pytest.mark.parametrize(
    ("kind", "recipe"), [("lora", {"ema": 0.9}), ("full", {"text_lr": 1e-3, "ema": 0.5})]
)
def test_a_training_is_the_same_whether_it_is_watched_or_not(
    base: base_model.Base, pixels: np.ndarray, unseen: Unseen, watched: Path, kind: str, recipe: dict
) -> None:
    """Bit for bit, with sample images drawn on the way."""
    settings = changed(adapt_settings(kind, base), **recipe)

    def trained(others: Unseen | None) -> tuple[dict, dict]:
        encoders = text_adapters.load(settings, base)
        given = (settings, base, (TEXT, pixels), [(TEXT, pixels)], "g/0")
        unet, found = training.train(*given, encoders=encoders, unseen=others)
        return {**unet.state_dict(), **text_adapters.state(encoders, kind)}, found

    state, found = trained(unseen)
    callback.current.close(True)
    (run,) = json.loads(curves.beside(watched).read_text())["runs"]
    assert run["looks"]["step"] == [0, 1, 2, 3] and run["training"]["step"] == [1, 2, 3]
    assert run["looks"]["held_out_loss"][0] == 1 and len(set(run["looks"]["held_out_loss"])) > 1
    assert all(norm > 0 for norm in run["training"]["gradient_norm"])
    assert [(s["step"], len(s["images"]), len(s["closest_bits"])) for s in run["samples"]] == [
        (0, 2, 2),
        (3, 2, 2),
    ]
    assert run["samples"][0]["images"] != run["samples"][1]["images"]
    callback.end(True)
    plain, alone = trained(None)
    assert found == alone and all(torch.equal(x, plain[name]) for name, x in state.items())


def test_adapters_of_a_shared_batch_are_looked_at_one_by_one(
    base: base_model.Base, pixels: np.ndarray, unseen: Unseen, watched: Path
) -> None:
    """Each as if it had been trained alone; one without held-out images is not looked at."""
    settings = changed(adapt_settings("lora", base), steps=2, batch=2)
    clusters = {"g/0": pixels[:2], "g/1": pixels[2:]}
    training_shared.train(settings, base, TEXT, clusters, [], "g", unseen=[None, unseen])
    callback.current.close(True)
    first, second = json.loads(curves.beside(watched).read_text())["runs"]
    assert first["looks"] == {} and len(second["looks"]["held_out_loss"]) == 3
    assert [len(run["samples"]) for run in (first, second)] == [2, 2]
    callback.current.phases.clear()
    training.train(settings, base, (TEXT, clusters["g/1"]), [], "g/1", unseen=unseen)
    callback.current.close(True)
    (alone,) = json.loads(curves.beside(watched).read_text())["runs"]
    for name, values in alone["looks"].items():
        assert second["looks"][name] == pytest.approx(values, rel=1e-3)


def test_the_choice_is_the_earliest_of_the_lowest_for_each_adapter() -> None:
    weights = [torch.nn.Parameter(torch.zeros(2, 3))]
    choice = Choice(weights, [[1.0, 2.0], [4.0, 4.0]])
    # relative to what they were: 0.75 and 1.5, then 0.75 and 0.5
    for number, losses in enumerate([[[0.5, 2.0], [6.0, 6.0]], [[1.0, 1.0], [2.0, 2.0]]], 1):
        with torch.no_grad():
            weights[0].fill_(number)
        choice.offer(number, losses)
    choice.install()
    assert choice.steps == [1, 2] and weights[0].tolist() == [[1.0] * 3, [2.0] * 3]
    untouched = Choice(weights, [[1.0], [1.0]])
    untouched.offer(3, [[1.0], [1.5]])
    assert untouched.steps == [0, 0]
    with pytest.raises(FairgenError, match="is not finite after 4 steps"):
        untouched.offer(4, [[1.0], [float("nan")]])


def test_curves_alone_end_no_job(
    base: base_model.Base, pixels: np.ndarray, unseen: Unseen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no memory left to look; a step that is chosen by it needs it."""

    def full(*given: object) -> list[float]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Levels, "losses", full)
    settings = changed(adapt_settings("lora", base), steps=2)
    training.train(settings, base, (TEXT, pixels), [], "g/0", unseen=unseen)
    chosen = dataclasses.replace(settings, select="held_out")
    with pytest.raises(torch.OutOfMemoryError):
        training.train(chosen, base, (TEXT, pixels), [], "g/0", unseen=unseen)


@pytest.mark.parametrize("ema", [0, 0.9])
def test_the_weights_of_the_chosen_step_are_kept(
    base: base_model.Base, pixels: np.ndarray, unseen: Unseen, watched: Path, ema: float
) -> None:
    """What comes out has the lowest loss of the curve, and is not that of the last step."""
    settings = adapt_settings("lora", base, select="held_out")
    settings = changed(settings, steps=24, lr=1e-2, ema=ema)
    unet, found = training.train(settings, base, (TEXT, pixels), [], "g/0", unseen=unseen)
    callback.current.close(True)
    (run,) = json.loads(curves.beside(watched).read_text())["runs"]
    losses, steps = run["looks"]["held_out_loss"], run["looks"]["step"]
    best = losses.index(min(losses))
    assert found["selected_step"] == run["selected_step"] == steps[best] not in (0, 24)
    process, states = diffusion.process(base), text_encoders.encode_prompts(base, [TEXT])
    levels = Levels(process, diffusion.load_vae(base), unseen, settings, "g/0")
    (again,) = Looks(unet, [levels], lambda: states, settings).losses()
    assert again == pytest.approx(
        [run["looks"][f"held_out_loss_{x:g}"][best] for x in held_out.LEVELS], rel=1e-4
    )


def test_a_killed_choice_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    """The adapter and its curves, byte for byte."""
    made = {}
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        bench = with_held_out(build(tmp_path / name))
        settings = {**SETTINGS["lora"], "select": "held_out"}
        monitored = {callback.MONITOR: json.dumps({**ASKED, "samples": {**ASKED["samples"], "at": [0.5, 1]}})}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(*next(iter(monitored.items())))
            if name == "killed":
                assert bench.run("lora", killed=True, settings=settings).returncode == -9
            done = bench.run("lora", settings=settings)
            assert done.returncode == 0, done.stderr
        found = json.loads(curves.beside(bench.output).read_text())
        made[name] = (bench.output.read_bytes(), {**found, "artifact": ""})
        assert ("goes on from" in bench.log()) == (name == "killed")
    assert made["whole"] == made["killed"]
    assert adapters.read_facts(bench.output)["selected_step"] > 0


def test_other_held_out_images_begin_a_choice_afresh(tmp_path: Path) -> None:
    """Where a step is chosen by them; curves decide nothing."""
    for select, said in (("held_out", "starts afresh"), ("last", "goes on from")):
        (tmp_path / select).mkdir()
        bench = with_held_out(build(tmp_path / select))
        settings = {**SETTINGS["lora"], "select": select}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(
                callback.MONITOR, json.dumps({**ASKED, "samples": {**ASKED["samples"], "images": 0}})
            )
            assert bench.run("lora", killed=True, settings=settings).returncode == -9
            with_held_out(bench, first=1)
            assert bench.run("lora", settings=settings).returncode == 0
        assert said in bench.log()


def with_held_out(bench: Bench, first: int = 0) -> Bench:
    """Its group has held-out images: two of its own, from the first of these on."""
    clusters = parquet.rows(bench.folder / "c.parquet")
    columns = {key: [row[key] for row in clusters] for key in clusters[0]}
    ids = [row["id"] for row in parquet.rows(bench.folder / "s.parquet")][first : first + 2]
    parquet.write(bench.folder / "c.parquet", columns, {"g": {"held_out": [ids, []]}})
    return bench


def test_a_choice_needs_held_out_images(tmp_path: Path) -> None:
    """Those of the group, where none is closest to the cluster."""
    path = tmp_path / "c.parquet"
    parquet.write(
        path,
        {"id": [1]},
        {
            "g": {"held_out": [[], [4, 5]]},
            "h": {"held_out": [[], []]},
            "many": {"held_out": [[1, 2], [3], []]},
        },
    )
    assert held_out_ids(path, "g", 1, "held_out") == ([4, 5], "cluster")
    assert held_out_ids(path, "g", 0, "held_out") == ([4, 5], "group")
    assert held_out_ids(path, "many", 2, "last") == ([1, 3, 2], "group")  # of both others alike
    assert held_out_ids(path, "h", 0, "last") == ([], "group")
    with pytest.raises(FairgenError, match=r"adapt\.select: held_out: group h has no validation image"):
        held_out_ids(path, "h", 0, "held_out")


def test_lora_weights_that_never_help_are_not_kept(
    base: base_model.Base, pixels: np.ndarray, unseen: Unseen, caplog: pytest.LogCaptureFixture
) -> None:
    settings = changed(adapt_settings("lora", base, select="held_out"), steps=2, lr=5.0)
    unet, found = training.train(settings, base, (TEXT, pixels), [], "g/0", unseen=unseen)
    assert found["selected_step"] == 0 and "never lowers the held-out loss" in caplog.text
    assert all(not x.any() for name, x in lora.lora_state(unet).items() if "lora_B" in name)
