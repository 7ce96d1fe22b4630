"""Broken machines end in one line, and a second snakemake in a folder is refused."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from interrupt import Disturbed, artifacts
from workflows import TINY, Workflow

from fairgen.core.errors import FairgenError
from fairgen.workflow.command_line import check_writable

INDEX = "results/birds/index.parquet"


@pytest.fixture
def tmpfs(workflow: Workflow) -> Iterator[Callable[[str], None]]:
    """Results of the tiny run on a small file system; call it to set the file system's options."""
    place = workflow.folder / "results"
    place.mkdir()
    workflow.edit(TINY)
    mounted = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mounted, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)
    subprocess.run(["umount", str(place)], check=True)


def lines(done: subprocess.CompletedProcess) -> list[str]:
    """What fairgen itself says on the terminal."""
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("fairgen")]


def test_a_full_disk_ends_in_one_line_and_space_mends_it(
    workflow: Workflow, tmpfs: Callable[[str], None]
) -> None:
    done = workflow.run(INDEX)
    assert done.returncode != 0
    said, last = lines(done)
    assert said.startswith("fairgen draw: ")
    assert last.startswith("fairgen: 1 job failed;")
    assert "No space left on device; free some space and call snakemake again" in said
    assert not artifacts(workflow.folder)
    tmpfs("size=64m")
    done = workflow.run(INDEX)
    assert done.returncode == 0, done.stderr
    assert (workflow.folder / INDEX).exists()


def test_read_only_results_end_in_one_line_before_any_job(
    workflow: Workflow, tmpfs: Callable[[str], None]
) -> None:
    tmpfs("ro")
    assert workflow.run("--dry-run", INDEX).returncode == 0
    done = workflow.run(INDEX)
    assert done.returncode != 0
    assert lines(done) == ["fairgen: cannot write into results: make it writable, or run in a folder that is"]
    assert "Traceback" not in done.stderr
    tmpfs("rw")
    tmpfs("size=64m")
    assert workflow.run(INDEX).returncode == 0


def test_a_data_sets_results_of_another_user_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "birds").mkdir()
    check_writable(tmp_path, ["birds", "utkface"])
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path / "birds")
    with pytest.raises(FairgenError, match=r"cannot write into .*/birds: make it writable"):
        check_writable(tmp_path, ["birds", "utkface"])


def test_a_second_snakemake_in_the_folder_is_refused_and_the_first_goes_on(workflow: Workflow) -> None:
    workflow.edit(TINY)
    run = Disturbed(workflow, seed=0)
    with run.start(["--cores=1", INDEX]) as first:
        while not run.jobs():
            assert first.poll() is None, run.said.read_text()
            time.sleep(0.02)
        for process, _ in run.jobs():  # or it might end before the second call has looked
            os.kill(process, signal.SIGSTOP)
        second = workflow.run(INDEX)
        for process, _ in run.jobs():
            os.kill(process, signal.SIGCONT)
        assert second.returncode != 0
        assert second.stderr.count("Directory cannot be locked") == 1
        assert "Traceback" not in second.stderr
    assert first.returncode == 0, run.said.read_text()
    assert (workflow.folder / INDEX).exists()
