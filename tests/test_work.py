"""Killed jobs: what they leave, and that their successors end where an uninterrupted run ends."""

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import PROJECT

from fairgen.core import devices, images, parquet
from fairgen.core.errors import FairgenError
from fairgen.core.workfolder import Work, differences
from fairgen.data import pixels
from fairgen.embedded import birds
from fairgen.workflow import stages

BASE = {"model": "fairgen:embedded/weights/diffusion", "revision": None, "variant": None, "dtype": "float32", "resolution": 32}
COMMON = {"base": BASE, "prompts": {"g": "a landbird on land [V]"}, "donors": {"g": None}, "token": "V", "seed": 0, "threads": 1}
RECIPE = {"lr": 1e-3, "steps": 6, "batch": 3, "schedule": "cosine", "warmup": 2, "ema": 0.9, "prior_weight": 1, "prior_batch": 2}
RECIPE |= {"accumulate": 2, "gradient_checkpointing": False}
ADAPT = {**COMMON, "borrow_below": 0, "min_snr": 5, "offset_noise": 0.1}
SOLVER = {"scheduler": "dpmsolver++", "steps": 2, "guidance": 2, "negative_prompt": "", "batch": 3}
NETWORK = {"model": "resnet10t", "args": {"channels": [8, 8, 8, 8], "stem_width": 8}, "pretrained": False, "resolution": 32}
SETTINGS = {
    "lora": {**ADAPT, "kind": "lora", "recipe": {**RECIPE, "rank": 4, "alpha": 8}},
    "shared": {**ADAPT, "kind": "lora", "recipe": {**RECIPE, "rank": 4, "alpha": 8}},
    "full": {**ADAPT, "kind": "full", "recipe": {**RECIPE, "text_lr": 1e-4}},
    "sample": {**COMMON, "per_group": 8, "floor": 1, "solver": SOLVER},
    "pretrain": {
        "classifier": NETWORK,
        "precision": "float32",
        "recipe": {"steps": 6, "batch": 4, "lr": 1e-3, "weight_decay": 1e-4},
        **{"supcon": 1, "temperature": 0.07, "projection": 16, "weights": "score", "extra": None},
        **{"classes": ["x", "y"], "targets": {"g": "x"}, "threads": 1},
    },
}
RECIPES = ("groupdro", "resample", "jtt")
COMMON_RECIPE = {"batch": 4, "lr": 1e-3, "weight_decay": 1e-4, "evaluate_every": 2, "select": "groups", "patience": 0}
FINETUNE = {
    **{"classifier": NETWORK, "precision": "float32", "start": None, "threads": 1},
    **{"classes": ["x", "y"], "targets": {"g": "x", "h": "y"}, "groups": ["g", "h"]},
}
SETTINGS |= {
    "groupdro": {**FINETUNE, "kind": "groupdro", "recipe": {**COMMON_RECIPE, "steps": 6, "step_size": 0.5, "adjustment": 1}},
    "resample": {**FINETUNE, "kind": "resample", "recipe": {**COMMON_RECIPE, "steps": 6}},
    # killed in the second phase, whose first one is made again
    "jtt": {**FINETUNE, "kind": "jtt", "recipe": {**COMMON_RECIPE, "steps": 6, "identify_steps": 3, "upweight": 2}},
}
KILLED = """
import os, runpy, signal, sys
from fairgen.core.workfolder import Work
save = Work.save
def last_words(self, *words, **more):
    save(self, *words, **more)
    if max(self.progress.get(name, 0) for name in ("step", "images")) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
Work.save = last_words
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


@dataclass
class Bench:
    """Small inputs of every stage that can be interrupted, and their commands."""

    folder: Path

    def start(self, name: str, killed: bool = False, settings: dict | None = None, gpu: int = 0) -> subprocess.Popen:
        """Start the stage on so many GPUs; `killed` ends it by SIGKILL after its fourth step or image."""
        names = {**dict.fromkeys(("lora", "full"), "adapt"), "shared": "adapt_shared", **dict.fromkeys(RECIPES, "finetune")}
        stage = names.get(name, name)
        words = ["-c", KILLED, stages.module(stage)] if killed else ["-m", stages.module(stage)]
        words += ["--settings", json.dumps(settings or SETTINGS[name]), "--log", str(self.folder / "log"), "--gpu", str(gpu)]
        words += [str(word) for word in self.options(stage)]
        env = {**os.environ, "PYTHONPATH": str(PROJECT), "FAIRGEN_CHECKPOINT_SECONDS": "0" if killed else "600"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([sys.executable, *words], env=env, cwd=self.folder, text=True, **pipes)

    def run(self, *words: str, **more: Any) -> subprocess.CompletedProcess:
        """The same, to its end."""
        with self.start(*words, **more) as job:
            out, err = job.communicate()
        return subprocess.CompletedProcess(job.args, job.returncode, out, err)

    def options(self, stage: str) -> list[str | Path]:
        """Files and wildcards of a stage."""
        return {
            "adapt": [
                *("--clusters", "c.parquet", "--split", "s.parquet", "--prior", self.folder / "drawn.parquet"),
                *("--group", "g", "--cluster", "0", "--adapter", self.output),
            ],
            "adapt_shared": [
                *("--clusters", "c.parquet", "--split", "s.parquet", "--prior", self.folder / "drawn.parquet"),
                *("--group", "g", "--adapters", self.output),
            ],
            "sample": ["--adapters", "--donors", "--group", "g", "--samples", self.output],
            "finetune": [
                *("--split", "labelled.parquet", "--pixels", "32.safetensors", "--seed", "0"),
                *("--model", self.output, "--predictions", self.folder / "out/p.file"),
            ],
            "pretrain": ["--selection", "selection.parquet", "--seed", "0", "--weights", self.output],
        }[stage]

    @property
    def output(self) -> Path:
        """What the stage makes."""
        return self.folder / "out/0.file"

    @property
    def work(self) -> Path:
        """Its work folder."""
        return self.folder / "out/.0.work"

    def log(self) -> str:
        """The last run's log."""
        return (self.folder / "log").read_text()


def build(folder: Path) -> Bench:
    """Write the inputs."""
    drawn = [images.encode_png(birds.users(5, "train", "landbird", "land", i).pixels) for i in range(8)]
    parquet.write_images(folder / "drawn.parquet", [(x, {"prompt": "a bird"}) for x in drawn], {"prompt": pa.string()}, {})
    files = [f"drawn.parquet#{i}" for i in range(8)]
    hashes = [hashlib.sha256(x).hexdigest() for x in drawn]
    columns = {"id": range(8), "path": files, "group": ["g"] * 8, "hash": hashes}
    parquet.write(folder / "s.parquet", columns, {"root": str(folder)})
    parquet.write(folder / "c.parquet", {"id": range(8), "group": ["g"] * 8, "cluster": [0] * 5 + [1] * 3})
    labelled = {"id": range(8), "path": files, "group": ["g", "h"] * 4, "target": ["x", "y"] * 4}
    labelled["split"] = ["train"] * 4 + ["validation"] * 2 + ["test"] * 2
    parquet.write(folder / "labelled.parquet", labelled, {"root": str(folder)})
    pixels.write(folder / "32.safetensors", 8, 32, enumerate(images.load(folder, files, 32)))
    kept = {"group": ["g"] * 8, "file": [str(folder / "drawn.parquet")] * 8, "kept": [True] * 8, "score": [0.5] * 8}
    parquet.write(folder / "selection.parquet", kept)
    return Bench(folder)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return build(tmp_path)


@pytest.mark.parametrize("name", ["lora", "shared", "full", "sample", "pretrain", *RECIPES])
def test_a_killed_job_ends_where_an_uninterrupted_one_does(bench: Bench, name: str) -> None:
    assert bench.run(name).returncode == 0
    expected = bench.output.read_bytes()
    bench.output.unlink()
    assert bench.run(name, killed=True).returncode == -signal.SIGKILL
    assert not bench.output.exists()
    assert bench.run(name).returncode == 0
    assert "goes on from" in bench.log()
    assert bench.output.read_bytes() == expected
    assert not bench.work.exists()


def test_a_changed_setting_starts_afresh_and_says_why(bench: Bench) -> None:
    settings = {**SETTINGS["pretrain"], "temperature": 0.1}
    assert bench.run("pretrain", settings=settings).returncode == 0
    expected = bench.output.read_bytes()
    bench.run("pretrain", killed=True)
    bench.run("pretrain", settings=settings)
    assert "starts afresh: since the interrupted job settings.temperature changed" in bench.log()
    assert bench.output.read_bytes() == expected


def test_a_job_waits_for_the_orphan_of_its_output_and_says_so(bench: Bench) -> None:
    assert bench.run("pretrain").returncode == 0
    expected = bench.output.read_bytes()
    bench.output.unlink()
    orphan = Work(bench.output, {})
    orphan.lock(print)
    (bench.folder / "log").write_text("what the orphan said\n")
    with bench.start("pretrain") as job:
        said = job.stderr.readline()
        assert said.startswith(f"fairgen pretrain: {bench.work}: process {os.getpid()} on ")
        assert said.endswith("makes this output; waiting for its end (or end it)\n")
        assert not bench.output.exists()
        assert bench.log() == "what the orphan said\n"
        bench.output.write_text("the orphan's")
        orphan.close(done=True)
        assert job.communicate()[1] == ""
    assert bench.output.read_bytes() == expected
    assert not bench.work.exists()


def test_outputs_of_a_killed_job_do_not_stay_behind(bench: Bench) -> None:
    bench.run("sample", killed=True)
    assert (bench.work / "new/samples.file").exists()
    assert bench.run("sample").returncode == 0
    assert [path.name for path in bench.output.parent.iterdir()] == [bench.output.name]


def test_a_failing_job_leaves_no_empty_folder(bench: Bench) -> None:
    done = bench.run("lora", settings={**SETTINGS["lora"], "base": {**BASE, "model": "./nowhere"}})
    assert done.returncode == 1
    assert not bench.work.exists()


def opened(output: Path, settings: dict, **inputs: str) -> tuple[Work, str]:
    work = Work(output, settings)
    work.lock(print)
    return work, work.begin(inputs)


def test_at_most_two_checkpoints_lie_on_disk(tmp_path: Path) -> None:
    work, _ = opened(tmp_path / "a", {})
    seen = []

    def write(path: Path) -> None:
        path.write_text("state")
        seen.append(len(list(work.folder.iterdir())) - 2)  # without the lock and the manifest

    for step in range(4):
        work.save(f"step-{step}", write, {"step": step})
    assert max(seen) == 2
    assert [path.name for path in work.paths()] == ["step-3"]
    assert sorted(path.name for path in work.folder.iterdir()) == ["lock", "manifest.json", "step-3"]


def test_a_file_without_its_manifest_does_not_count(tmp_path: Path) -> None:
    work, _ = opened(tmp_path / "a", {"x": 1}, images="1")
    work.save("step-1", lambda path: path.write_text("one"), {"step": 1})
    (work.folder / "step-2").write_text("two")
    (work.folder / ".step-3.tmp").write_text("thr")
    work._lock.close()
    again, said = opened(tmp_path / "a", {"x": 1}, images="1")
    assert said == "goes on from {'step': 1}"
    assert [path.read_text() for path in again.paths()] == ["one"]
    assert sorted(path.name for path in again.folder.iterdir()) == ["lock", "manifest.json", "step-1"]


def test_other_code_starts_afresh(tmp_path: Path) -> None:
    """A state that one version of the code has left is not another one's to go on from."""
    for code, expected in (
        ("1", ""),
        ("1", "goes on from {'step': 1}"),
        ("2", "starts afresh: since the interrupted job code changed"),
    ):
        work = Work(tmp_path / "a", {"x": 1}, code)
        work.lock(lambda said: None)
        part = work.part("train")
        assert part.begin({"images": "1"}) == expected
        part.save("step-1", lambda path: path.write_text("one"), {"step": 1})
        work._lock.close()


def test_other_inputs_start_afresh_for_good(tmp_path: Path) -> None:
    work, _ = opened(tmp_path / "a", {"x": 1}, images="1")
    work.save("step-1", lambda path: path.write_text("one"), {"step": 1})
    work._lock.close()
    again, said = opened(tmp_path / "a", {"x": 1}, images="2")
    assert said == "starts afresh: since the interrupted job inputs.images changed"
    again._lock.close()
    back, said = opened(tmp_path / "a", {"x": 1}, images="1")
    assert (back.files, back.progress, said) == ([], {}, "")


def test_two_jobs_never_hold_one_folder(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys, time; from fairgen.core.workfolder import Work\n"
        "for _ in range(30):\n"
        "    work = Work(pathlib.Path(sys.argv[1], 'a'), {}); work.lock(lambda said: None)\n"
        "    mine = work.fresh() / 'mine'; mine.open('x').close(); time.sleep(0.002); mine.unlink(); work.close(True)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    jobs = [subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [job.communicate()[1] for job in jobs] == [""] * 4
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    for lock in (lambda: Work(tmp_path / "a", {}).lock(print), lambda: devices.try_lock("0", tmp_path)):
        with pytest.raises(
            FairgenError, match=r"this file system has no locks \(.*\), which keep jobs apart; mount it with them"
        ):
            lock()


def test_differences_are_named() -> None:
    assert differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": None}) == ["a.c"]
    assert differences({"a": [1]}, {"a": [1]}) == []
