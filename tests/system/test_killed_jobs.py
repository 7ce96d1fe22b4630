"""Killed jobs: what they leave, and that their successors end where an uninterrupted run ends."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from bench import BASE, RECIPES, SETTINGS, Bench, build
from safetensors.torch import save_file
from workflows import PROJECT

from fairgen.core import devices
from fairgen.core.errors import FairgenError
from fairgen.core.workfolder import WorkFolder, differences
from fairgen.models import classifier


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return build(tmp_path)


@pytest.mark.parametrize("name", ["lora", "shared", "full", "sample", "pretrain", *RECIPES])
def test_a_killed_job_ends_where_an_uninterrupted_one_does(bench: Bench, name: str) -> None:
    assert bench.run(name, cold=True).returncode == 0
    expected = bench.output.read_bytes()
    bench.output.unlink()
    assert bench.run(name, killed=True).returncode == -signal.SIGKILL
    assert not bench.output.exists()
    if name == "sample":  # the file that it was at
        assert (bench.work / "new/samples.file").exists()
    assert bench.run(name).returncode == 0
    assert "goes on from" in bench.log()
    assert bench.output.read_bytes() == expected
    assert not bench.work.exists()
    made = {bench.output.name, "p.file"} if name in RECIPES else {bench.output.name}
    assert {path.name for path in bench.output.parent.iterdir()} == made  # nothing of the killed one


def test_a_changed_setting_starts_afresh_and_says_why(bench: Bench) -> None:
    settings = {**SETTINGS["pretrain"], "temperature": 0.1}
    assert bench.run("pretrain", settings=settings).returncode == 0
    expected = bench.output.read_bytes()
    bench.run("pretrain", killed=True)
    bench.run("pretrain", settings=settings)
    assert "starts afresh: since the interrupted job settings.temperature changed" in bench.log()
    assert bench.output.read_bytes() == expected


def test_other_start_weights_start_afresh(bench: Bench) -> None:
    """The same file with other content: nothing of the settings says so."""
    file = bench.folder / "weights.safetensors"
    network = {**SETTINGS["pretrain"]["classifier"], "pretrained": str(file)}
    settings = {**SETTINGS["pretrain"], "classifier": network}

    def put(seed: int) -> None:
        net = classifier.build(classifier.Classifier(**SETTINGS["pretrain"]["classifier"]), 2, seed).net
        save_file({name: x.contiguous() for name, x in net.state_dict().items()}, file)

    put(1)
    assert bench.run("pretrain", settings=settings).returncode == 0
    expected = bench.output.read_bytes()
    bench.output.unlink()
    put(2)
    assert bench.run("pretrain", settings=settings, killed=True).returncode == -signal.SIGKILL
    put(1)
    assert bench.run("pretrain", settings=settings).returncode == 0
    assert "starts afresh: since the interrupted job inputs.start changed" in bench.log()
    assert bench.output.read_bytes() == expected


def test_a_job_waits_for_the_orphan_of_its_output_and_says_so(bench: Bench) -> None:
    assert bench.run("pretrain").returncode == 0
    expected = bench.output.read_bytes()
    bench.output.unlink()
    orphan = WorkFolder(bench.output, {})
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


def test_a_failing_job_leaves_no_empty_folder(bench: Bench) -> None:
    done = bench.run("lora", settings={**SETTINGS["lora"], "base": {**BASE, "model": "./nowhere"}})
    assert done.returncode == 1
    assert not bench.work.exists()


def opened(output: Path, settings: dict, **inputs: str) -> tuple[WorkFolder, str]:
    work = WorkFolder(output, settings)
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
        work = WorkFolder(tmp_path / "a", {"x": 1}, code)
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
        "import pathlib, sys, time; from fairgen.core.workfolder import WorkFolder\n"
        "for _ in range(30):\n"
        "    work = WorkFolder(pathlib.Path(sys.argv[1], 'a'), {}); work.lock(lambda said: None)\n"
        "    mine = work.fresh() / 'mine'; mine.open('x').close(); time.sleep(0.002); mine.unlink();"
        " work.close(True)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    jobs = [subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [job.communicate()[1] for job in jobs] == [""] * 4
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    for lock in (lambda: WorkFolder(tmp_path / "a", {}).lock(print), lambda: devices.try_lock("0", tmp_path)):
        with pytest.raises(
            FairgenError,
            match=r"this file system has no locks \(.*\), which keep jobs apart; mount it with them",
        ):
            lock()


def test_differences_are_named() -> None:
    assert differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": None}) == ["a.c"]
    assert differences({"a": [1]}, {"a": [1]}) == []
