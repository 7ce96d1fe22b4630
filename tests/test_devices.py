"""GPUs are handed out once, tried with lock files of devices that do not exist."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from fairgen import devices
from fairgen.errors import FairgenError

PROGRAM = """
import sys, time
from pathlib import Path
from fairgen import devices
devices.WAIT = 0.02
folder, count = Path(sys.argv[1]), int(sys.argv[2])
own = devices.claim(count, list("0123"), folder)
start = time.time()
time.sleep(float(sys.argv[3]))
print(",".join(own), start, time.time(), flush=True)
"""


def job(folder: Path, count: int = 1, seconds: float = 0.3) -> subprocess.Popen:
    words = [sys.executable, "-c", PROGRAM, str(folder), str(count), str(seconds)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent)


@pytest.mark.parametrize("count", [1, 2])
def test_parallel_jobs_never_share_a_device(tmp_path: Path, count: int) -> None:
    jobs = [job(tmp_path, count) for _ in range(8)]
    spans = []
    for one in jobs:
        own, start, end = one.communicate(timeout=60)[0].split()
        spans += [(device, float(start), float(end)) for device in own.split(",")]
    assert len(spans) == 8 * count
    for i, (device, start, end) in enumerate(spans):
        for other, begun, ended in spans[:i]:
            assert device != other or end <= begun or ended <= start


def test_a_killed_owner_gives_its_device_back(tmp_path: Path) -> None:
    owner = job(tmp_path, 4, 600)
    while len(list(tmp_path.glob("*.lock"))) < 4 or devices.try_lock("3", tmp_path):
        time.sleep(0.05)
    owner.kill()
    owner.wait()
    assert devices.try_lock("0", tmp_path) is not None


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
