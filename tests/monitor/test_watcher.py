"""The callback of a job: kept curves, and no failure of its own that reaches the job."""

import json
from pathlib import Path

import pytest
from bench import SETTINGS, build

from fairgen.core import callback
from fairgen.monitor import curves, trackers, watcher

ASKED = {"curves": True, "tracker": "none", "near": 40}
RECORD = {"hash": "mine", "stage": "finetune", "settings": {"a": {"b": 1}}}
ASKED |= {"samples": {"images": 0, "at": [1], "steps": 1, "guidance": 1}}


def watching(path: Path, **changes: object) -> watcher.Watcher:
    return watcher.Watcher({**ASKED, **changes}, path, RECORD)


def runs(path: Path) -> list[dict]:
    return json.loads(curves.beside(path).read_text())["runs"]


def test_nobody_watches_unless_the_environment_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(callback.MONITOR, raising=False)
    callback.begin(tmp_path / "a.safetensors", {})
    assert type(callback.current) is callback.Callback
    assert not callback.current.looks and not callback.current.draws_at(10)


def test_looks_before_the_first_step_and_of_every_phase_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    watched = watching(path)
    watched.look(0, [{"validation_average": 0.5}])
    for phase in ("identify", "train"):
        notes: dict = {}
        if phase == "train":  # looks at what it starts from, before it begins
            watched.next_phase()
            watched.look(0, [{"validation_average": 0.1}])
        watched.begin(phase, [""], 2, notes)
        for number in (1, 2):
            watched.step(number, [0.1 * number], [], 1e-3)
            watched.look(number, [{"validation_average": number / 4}])
    watched.selected([1])
    watched.close(True)
    first, second = runs(path)
    assert first["looks"]["step"] == [0, 1, 2] and second["looks"]["step"] == [0, 1, 2]
    assert [run["looks"]["validation_average"][0] for run in (first, second)] == [0.5, 0.1]
    assert [run["phase"] for run in (first, second)] == ["identify", "train"]
    assert second["selected_step"] == 1 and "selected_step" not in first


def test_a_run_that_goes_on_does_not_repeat_a_look(tmp_path: Path) -> None:
    path, notes = tmp_path / "model.safetensors", {}
    for number in (1, 2):
        watched = watching(path)
        watched.look(0, [{"validation_average": 0.5}])
        watched.begin("train", [""], 4, notes)
        watched.step(number, [1.0], [2.0], 1e-3)
        notes = json.loads(json.dumps(notes))  # a checkpoint
    watched.close(True)
    (run,) = runs(path)
    assert run["looks"]["step"] == [0] and run["training"]["step"] == [1, 2]


def test_a_failure_ends_its_part_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """A tracker that fails costs no curve, curves that cannot be written no tracker."""

    def fails(*given: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "model.safetensors"
    watched = watching(path)
    monkeypatch.setattr(watched.tracker, "log", fails)
    monkeypatch.setattr(watched.tracker, "close", lambda: pytest.fail("it has ended"))
    watched.begin("train", [""], 2, {})
    watched.step(1, [1.0], [], 1e-3)
    watched.look(1, [{"validation_average": 0.5}])
    watched.close(True)
    assert capsys.readouterr().err.count("no more tracking of its training") == 1
    assert json.loads(curves.beside(path).read_text())["done"]
    watched, closed = watching(path), []
    monkeypatch.setattr(curves, "write", fails)
    monkeypatch.setattr(watched.tracker, "close", lambda: closed.append(True))
    watched.begin("train", [""], 2, {})
    watched.look(1, [{"validation_average": 0.5}])
    watched.close(True)
    said = capsys.readouterr().err
    assert said.count("no more curves of its training") == 1 and "No space left" in said and closed


def test_what_the_environment_says_wrongly_ends_no_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for said in ("{", '{"curves": true}'):
        monkeypatch.setenv(callback.MONITOR, said)
        callback.begin(tmp_path / "a.safetensors", {})
        assert type(callback.current) is callback.Callback
    assert caplog.text.count("is not watched") == 2


def test_classifiers_leave_their_curves_beside_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same model as without; and a stage that trains nothing leaves nothing."""
    bench = build(tmp_path)
    assert bench.run("jtt").returncode == 0
    plain = bench.output.read_bytes()
    assert not curves.beside(bench.output).exists()
    monkeypatch.setenv(callback.MONITOR, json.dumps(ASKED))
    done = bench.run("jtt")
    assert done.returncode == 0, done.stderr
    assert bench.output.read_bytes() == plain
    first, second = runs(bench.output)
    assert first["phase"] == "identify" and first["training"]["step"] == [1, 2, 3]
    assert second["looks"]["step"] == [2, 4, 6] and second["training"]["gradient_norm"][0] > 0
    assert second["looks"]["validation_worst_group"][0] is not None
    assert bench.run("pretrain").returncode == 0
    (run,) = runs(bench.output)
    assert len(run["training"]["loss"]) == SETTINGS["pretrain"]["recipe"]["steps"] and not run["looks"]


def test_a_run_of_a_tracker_has_the_name_of_its_artifact() -> None:
    path = Path("results/birds/bias-0.95/lora/adapters/g/0.safetensors")
    assert trackers.run_name(path) == "birds/bias-0.95/lora/adapters/g/0"
    assert trackers.flat({"a": {"b": 1, "c": None}, "d": [1]}) == {"a.b": 1, "a.c": "None", "d": "[1]"}


def test_tensorboard_gets_figures_and_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.chdir(tmp_path)
    watched = watching(Path("results/birds/any/lora/adapters/g/0.safetensors"), tracker="tensorboard")
    watched.tracker.settings = {"adapt": {"kind": "lora"}}
    watched.begin("train", ["g/0"], 2, {})
    for number in (1, 2):
        watched.step(number, [0.5 / number], [2.0], 1e-3)
    watched.tracker.draw(watched.runs[0], np.zeros((2, 32, 32, 3), np.uint8), {"near_copies": 0.5}, 2)
    watched.close(True)
    assert not watched.ended
    place = Path("results/tracking/tensorboard/birds/any/lora/adapters/g/0")
    assert [*Path("results/tracking").rglob("*tfevents*")] == [*place.glob("*tfevents*")], "one run, one file"
    found = EventAccumulator(str(place)).Reload()
    assert b"adapt.kind" in found.PluginTagToContent("hparams")["_hparams_/session_start_info"]
    assert [x.value for x in found.Scalars("train/g/0/loss")] == pytest.approx([0.5, 0.25])
    assert found.Scalars("train/g/0/near_copies")[0].value == 0.5
    (grid,) = found.Images("train/g/0/samples")
    assert (grid.width, grid.height) == (64, 32)
