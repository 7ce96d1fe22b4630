"""GPUs are handed out once, tried with lock files of devices that do not exist."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from workflows import PROJECT, Workflow

from fairgen.core import devices, parquet
from fairgen.core.errors import FairgenError

PROGRAM = """
import os, sys, time
from fairgen.core import devices
devices.WAIT = 0.02
devices.ask(int(sys.argv[1]))
devices.acquire()
start = time.time()
time.sleep(float(sys.argv[2]))
print(os.environ["CUDA_VISIBLE_DEVICES"], start, time.time(), flush=True)
"""
DEVICES = ["0", "2", "GPU-7f", "3"]


def job(folder: Path, count: int = 1, seconds: float = 0.3, **variables: str) -> subprocess.Popen:
    """A process that takes some of the devices that do not exist, as a stage does; lock files lie below the
    folder.
    """
    env = {name: value for name, value in os.environ.items() if name not in devices.ALLOCATIONS}
    env |= {"CUDA_VISIBLE_DEVICES": ",".join(DEVICES), "TMPDIR": str(folder), **variables}
    words = [sys.executable, "-c", PROGRAM, str(count), str(seconds)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=PROJECT, env=env)


@pytest.mark.parametrize("count", [1, 2])
def test_eight_parallel_jobs_never_share_a_device(tmp_path: Path, count: int) -> None:
    jobs = [job(tmp_path, count) for _ in range(8)]
    spans = []
    for one in jobs:
        own, start, end = one.communicate(timeout=60)[0].split()
        spans += [(device, float(start), float(end)) for device in own.split(",")]
    assert len(spans) == 8 * count
    assert {device for device, _, _ in spans} <= set(DEVICES)
    for i, (device, start, end) in enumerate(spans):
        for other, begun, ended in spans[:i]:
            assert device != other or end <= begun or ended <= start


def test_a_killed_owner_gives_its_device_back(tmp_path: Path) -> None:
    owner, folder = job(tmp_path, 4, 600), tmp_path / f"fairgen-gpus-{os.getuid()}"
    while len(list(folder.glob("*.lock"))) < 4 or devices.try_lock("3", folder):
        time.sleep(0.05)
    waiting = job(tmp_path, 4, 0)
    owner.kill()
    owner.wait()
    assert waiting.communicate(timeout=60)[0].split()[0] == ",".join(DEVICES)


def test_a_job_that_finds_no_gpu_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(devices, "asked", 1)
    with pytest.raises(FairgenError, match=r"asks for 1 GPU .* and sees 0; set gpu: 0"):
        devices.current()
    devices.ask(0)
    assert devices.current().type == "cpu"


def test_visible_devices_are_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-abc,-1")
    assert devices.visible() == ["2", "GPU-abc"]


def test_a_stage_that_finds_no_gpu_ends_in_one_line(tmp_path: Path) -> None:
    parquet.write(
        tmp_path / "index.parquet",
        {"id": [0], "path": ["nowhere.png"], "group": ["g"], "split": ["train"], "hash": [""]},
        {"root": "."},
    )
    settings = '{"batch":8,"encoder":{"kind":"clip","model":"fairgen:embedded/weights/clip"},"threads":1}'
    files = ["--index", tmp_path / "index.parquet", "--embeddings", tmp_path / "embeddings.parquet"]
    command = [sys.executable, "-m", "fairgen.data.embed", "--settings", settings, *files, "--gpu", "1"]
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "fairgen embed: this job asks for 1 GPU (gpu of its data set) and sees 0; set gpu: 0"
    )
    assert done.stderr.count("\n") == 1


def test_jobs_get_the_gpus_of_their_data_set(workflow: Workflow) -> None:
    """As a resource, which snakemake counts, and on the command line; jobs that compute nothing get none."""
    workflow.edit({"datasets": {"birds": {"gpu": 2}}})
    done = workflow.run("--dry-run", "--printshellcmds", "results/birds/bias-0.99/erm/seed-0/metrics.json")
    assert re.findall(r"resources: .*gpu=(\d)", done.stdout) == ["2"], done.stdout + done.stderr
    assert re.findall(r"-m fairgen\.\w+\.(\w+) .*--gpu (\d)", done.stdout) == [("finetune", "2")]


def test_allocations_do_not_wait_for_each_others_devices(tmp_path: Path) -> None:
    """Many schedulers number the GPUs of each allocation from 0."""
    owner, folder = job(tmp_path, 4, 600, SLURM_JOB_ID="7"), tmp_path / f"fairgen-gpus-{os.getuid()}-7"
    while len(list(folder.glob("*.lock"))) < 4 or devices.try_lock("3", folder):
        time.sleep(0.05)
    assert job(tmp_path, 4, 0, SLURM_JOB_ID="8").communicate(timeout=60)[0].split()[0] == ",".join(DEVICES)
    assert owner.poll() is None
    owner.kill()
    owner.wait()


def test_a_mig_device_has_a_lock_file_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its id has slashes: `MIG-GPU-…/1/0`."""
    monkeypatch.setattr(devices, "held", [])  # else this process would compute on them
    one, other = devices.claim(2, ["MIG-GPU-7f/1/0", "MIG-GPU-7f/2/0"], tmp_path)
    assert (one, other) == ("MIG-GPU-7f/1/0", "MIG-GPU-7f/2/0")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "gpu-MIG-GPU-7f_1_0.lock",
        "gpu-MIG-GPU-7f_2_0.lock",
    ]
    assert devices.try_lock(one, tmp_path) is None
