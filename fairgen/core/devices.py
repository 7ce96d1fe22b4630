"""The device of a job: the CPU, or GPUs that no other job on this machine holds.

Snakemake hands out counts of GPUs, not devices. So a job claims the first visible ones whose lock files are
free; a lock ends with its process, however that ends.
"""

import logging
import os
import tempfile
import time
from pathlib import Path
from typing import IO, Any

from fairgen.core.errors import FairgenError
from fairgen.core.workfolder import flocked

WAIT = 0.5  # seconds between two looks at devices that are all taken
ALLOCATIONS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID")  # variables of Slurm, PBS and LSF
asked = 0  # GPUs that this job may use
held: list[IO[str]] = []  # open lock files of this process


def visible() -> list[str]:
    """Ids of the GPUs that this process may use: those of CUDA_VISIBLE_DEVICES, else all."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        import torch

        return [str(i) for i in range(torch.cuda.device_count())]
    return [word.strip() for word in named.split(",") if word.strip() not in ("", "-1")]


def try_lock(device: str, folder: Path) -> IO[str] | None:
    """The open lock file of a device, or None if another process holds it."""
    file = (folder / f"gpu-{device.replace('/', '_')}.lock").open("a")  # a MIG device is called MIG-GPU-…/1/0
    if flocked(file):
        return file
    file.close()
    return None


def claim(count: int, devices: list[str], folder: Path) -> list[str]:
    """Hold `count` of the devices until this process ends; waits while fewer are free.

    Raises:
        FairgenError: there are not so many devices.
    """
    if len(devices) < count:
        raise FairgenError(
            f"this job asks for {count} GPU{'s' if count > 1 else ''} (gpu of its data set) and sees"
            f" {len(devices)}; set gpu: 0 to run on the CPU, or mend the driver or CUDA_VISIBLE_DEVICES"
        )
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        taken: dict[str, IO[str]] = {}
        for device in devices:
            lock = try_lock(device, folder) if len(taken) < count else None
            if lock is not None:
                taken[device] = lock
        if len(taken) == count:
            held.extend(taken.values())
            return list(taken)
        for lock in taken.values():
            lock.close()
        time.sleep(WAIT)


def ask(count: int) -> None:
    """Say how many GPUs this job may use; they are claimed when the first model is loaded."""
    global asked
    asked = count


def lock_folder() -> Path:
    """Where the jobs that see the same devices keep their locks.

    A scheduler's allocation has a folder of its own: many sites number the GPUs of each from 0, so that `0`
    is another device in the next one.
    """
    allocation = [os.environ[name] for name in ALLOCATIONS if name in os.environ]
    return Path(tempfile.gettempdir(), "-".join(["fairgen-gpus", str(os.getuid()), *allocation]))


def acquire() -> None:
    """Claim this job's GPUs and hide all others; at the first call only, and before CUDA starts."""
    if asked and not held:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(claim(asked, visible(), lock_folder()))
        logging.getLogger("fairgen").info("computes on GPU %s", os.environ["CUDA_VISIBLE_DEVICES"])


def current() -> Any:
    """The torch device of this job."""
    import torch

    acquire()
    return torch.device("cuda" if held else "cpu")


def fast_float32() -> None:
    """Let float32 products run in TensorFloat-32 where a GPU has it, as convolutions do by default.

    It keeps 11 bits of a factor where bfloat16 keeps 8 and float32 24, at half of bfloat16's peak rate on
    NVIDIA's cards since Ampere; float32 has a fifteenth.
    """
    import torch

    torch.backends.cuda.matmul.allow_tf32 = True
