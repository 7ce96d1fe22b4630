"""Before the first job: this machine has the GPUs, the memory and the disk that the settings ask for, as far
as it can tell.

Without torch. Memory and disk are lower bounds from the headers of the base's weights: what is told as too
large is so.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from math import prod
from pathlib import Path

from fairgen.core import safetensors_header
from fairgen.models import single_file
from fairgen.models.checkpoints import locate
from fairgen.workflow.method_chain import owner
from fairgen.workflow.preflight.findings import MACHINE, NOTE, Case, Finding
from fairgen.workflow.preflight.models import SINGLE
from fairgen.workflow.preflight.places import denoiser_files

DTYPES = {"float32": 4, "bfloat16": 2, "float16": 2}
TRAINED = {"adamw": 16, "adamw8bit": 10}  # bytes a weight: float32 itself, its gradient, two moments
STORED = 4  # bytes a weight of a full finetune's file


@cache
def gpus() -> list[int] | None:
    """Memory in MB of each GPU that jobs here see, 0 where it is not known; None where nothing says how many
    there are.
    """
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    words = None if named is None else [word for word in named.split(",") if word.strip() not in ("", "-1")]
    if words == []:
        return []
    found = by_driver()
    if found is None:
        found = [0] * len([*Path("/dev").glob("nvidia[0-9]*")])
        # AMD, and Windows' own Linux
        others = any(Path(place).exists() for place in ("/dev/kfd", "/dev/dxg"))
        if not found and others:
            return None
    if words is None or not found:
        return found
    return [
        found[int(word)] if word.isdigit() and int(word) < len(found) else min(found)
        for word in map(str.strip, words)
    ]


def by_driver() -> list[int] | None:
    """Memory in MB of each GPU, as nvidia-smi says; None without it."""
    lines = smi("memory.total")
    return None if lines is None else [int(line) if line.isdigit() else 0 for line in lines]


def smi(query: str) -> list[str] | None:
    """What nvidia-smi says of each GPU; None without it."""
    if not shutil.which("nvidia-smi"):
        return None
    command = ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return [line.strip() for line in done.stdout.splitlines()] if done.returncode == 0 else []


def memory() -> int:
    """Main memory in MB."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20


def devices(case: Case) -> Iterator[Finding]:
    """Jobs find as many GPUs as they ask for."""
    wanted = case.data["gpu"] if case.methods else 0
    found = gpus() if wanted else []
    if wanted and found is not None and len(found) < wanted:
        yield Finding(
            f"config: datasets.{case.dataset}.gpu: jobs ask for {wanted} GPU{'s' if wanted > 1 else ''}, and"
            f" this machine shows {len(found)}; set gpu:"
            f" {len(found)}{'' if found else ' to compute on the CPU'}, or mend the driver or"
            " CUDA_VISIBLE_DEVICES",
            MACHINE,
        )


def parameters(case: Case) -> int:
    """Weights of the base's denoiser, by the headers of its files; 0 where they cannot be read."""
    given = case.block("diffusion")
    if single_file.is_one(given["model"]):
        return count(Path(locate(given["model"])), SINGLE)
    return sum(count(file, "") for file in denoiser_files(given))


def count(file: Path, start: str) -> int:
    """Numbers in the tensors of a safetensors file whose names start so; 0 for a file that cannot be read."""
    try:
        return sum(
            prod(shape) for name, shape in safetensors_header.shapes(file).items() if name.startswith(start)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def room(case: Case) -> Iterator[Finding]:
    """The denoiser alone, as the hungriest method holds it, fits into memory: the GPU's, or the machine's for
    `gpu: 0`.
    """
    numbers = parameters(case) if case.drawing else 0
    if not numbers:
        return
    given = case.block("diffusion")
    held = {"as it is": numbers * (1 if given["memory"] == "low" else DTYPES[given["dtype"]])}
    for method in case.adapting:
        adapt = case.block("adapt", method)
        if adapt["kind"] == "full":
            held[f"trained by {method}"] = numbers * TRAINED[adapt["full"]["optimizer"]]
    what, need = max(((name, size // 2**20) for name, size in held.items()), key=lambda pair: pair[1])
    found = gpus() if case.data["gpu"] else [memory()]
    has = min(found, default=0) if found else 0
    if has and need > has:
        where = "a GPU here has" if case.data["gpu"] else "this machine has"
        yield Finding(
            f"config: diffusion.model: {case.dataset}'s denoiser {what} takes {need:,} MB, and {where}"
            f" {has:,} MB; take a smaller base, adapt.kind: lora in place of full, diffusion.memory: low, or"
            " a larger machine",
            MACHINE,
        )


def disk(case: Case) -> Iterator[Finding]:
    """The files of full finetunes fit on the disk, when every group trains all its generators."""
    numbers = parameters(case) if case.adapting else 0
    owners = {owner(case.config, method, "adapt"): method for method in case.adapting}
    files = sum(
        len(case.groups) * case.block("cluster", method)["k"] * len(case.block("ratios"))
        for method in owners.values()
        if case.block("adapt", method)["kind"] == "full"
    )
    place = Path("results") if Path("results").exists() else Path()
    need, free = files * numbers * STORED // 2**20, shutil.disk_usage(place).free // 2**20
    if need > free:
        yield Finding(
            f"data set {case.dataset}: {files} full finetunes take up to {need:,} MB, and {place.resolve()}"
            f" has {free:,} MB free; make room, or take adapt.kind: lora",
            NOTE,
        )
