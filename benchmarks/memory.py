"""Memory and time of `finetune` on a large data set, and of `decode`, which its jobs share.

    python benchmarks/memory.py                      # 50,000 made-up images of 64 pixels
    python benchmarks/memory.py --against FOLDER     # beside other code: git worktree add FOLDER <commit>

Each job is a process of its own. `peak` is its resident memory at most, in which the pages of files count
that the system keeps for all; `own` is the largest part of it that is no file's, looked up every 20 ms.
Images a second are those of all gradient steps, by the seconds of the whole job. One group in 25 images is
rare, and one label in 20 is wrong, for Group-DRO and JTT. `--json FILE` writes the ratios to the other
version, or else to `erm`.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from PIL import Image

from fairgen.classify.examples import Stored
from fairgen.core import images, parquet
from fairgen.data import pixels

PROJECT = Path(__file__).resolve().parent.parent
BATCH, GROUPS = 128, ["dark-0", "dark-1", "bright-0", "bright-1"]
OWN = {
    "groupdro": {"step_size": 0.01, "adjustment": 0},
    "jtt": {"upweight": 20},
}


@dataclass(frozen=True)
class Spent:
    """What a process took: seconds on the wall and of the processor, MiB of memory at most, and MiB of its
    own.
    """

    wall: float
    cpu: float
    peak: float
    own: float


def pictures(count: int, size: int, bright: np.ndarray) -> Iterator[bytes]:
    """PNG of smooth random pictures, dark or bright."""
    rng = np.random.default_rng(0)
    for high in bright:
        coarse = Image.fromarray(rng.integers(100 * high, 100 * high + 156, (6, 6, 3), dtype=np.uint8))
        yield images.encode_png(np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC)))


def make(folder: Path, count: int, size: int) -> None:
    """The data set as `index` and `split` leave it: 8 of 10 images for training, 1 for validation, 1 for the
    test.
    """
    rng, numbers = np.random.default_rng(1), np.arange(count)
    target, rare, wrong = numbers % 2, rng.random(count) < 1 / 25, rng.random(count) < 1 / 20
    encoded = list(pictures(count, size, target ^ wrong))
    parquet.write_images(folder / "images.parquet", ((x, {"n": 0}) for x in encoded), {"n": pa.int32()}, {})
    columns = {
        "id": numbers,
        "path": [f"images.parquet#{i}" for i in numbers],
        "hash": [hashlib.sha256(x).hexdigest() for x in encoded],
        "target": [("dark", "bright")[t] for t in target],
        "group": [GROUPS[2 * t + r] for t, r in zip(target, rare.astype(int), strict=True)],
        "split": (["train"] * 8 + ["validation", "test"]) * (count // 10),
    }
    for name in ("index", "split"):
        parquet.write(folder / f"{name}.parquet", columns, {"root": str(folder)})


def settings(method: str, size: int, steps: int) -> dict[str, Any]:
    """Of a job of `finetune` with so many gradient steps in all."""
    recipe = {
        "batch": BATCH,
        "lr": 3e-3,
        "weight_decay": 0,
        "optimizer": "adamw",
        "evaluate_every": steps,
        "select": "groups",
        "patience": 0,
    }
    parts = (
        {"identify_steps": steps // 2, "steps": steps - steps // 2} if method == "jtt" else {"steps": steps}
    )
    return {
        **{
            "kind": method,
            "start": None,
            "recipe": recipe | parts | OWN.get(method, {}),
            "precision": "float32",
            "threads": 1,
        },
        "classifier": {
            **{"model": "resnet10t", "args": {"channels": [8, 16, 16, 32], "stem_width": 8}},
            **{"pretrained": False, "resolution": size},
        },
        **{"classes": ["dark", "bright"], "groups": GROUPS, "targets": {g: g.split("-")[0] for g in GROUPS}},
    }


def spent(words: list[str], code: Path, folder: Path) -> Spent:
    """Run a stage of some version's code in a folder."""
    command, env = (
        [sys.executable, "-m", *words],
        {**os.environ, "PYTHONPATH": str(code), "OMP_NUM_THREADS": "1"},
    )
    start, peak, own = time.perf_counter(), 0.0, 0.0
    process = subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.PIPE, text=True)
    while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
        told = dict(
            line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines()
        )
        now = {name: int(told[name].split()[0]) / 1024 for name in ("VmHWM", "RssAnon") if name in told}
        # a process that has just ended tells neither
        peak, own = now.get("VmHWM", peak), max(own, now.get("RssAnon", 0.0))
        time.sleep(0.02)
    if ended[1]:
        sys.exit(process.stderr.read())
    return Spent(time.perf_counter() - start, ended[2].ru_utime + ended[2].ru_stime, peak, own)


def finetune(method: str, code: Path, folder: Path, size: int, steps: int) -> Spent:
    """One job; a version that has no `decode` reads the images itself."""
    words = [
        "fairgen.classify.finetune",
        "--settings",
        json.dumps(settings(method, size, steps)),
        "--split",
        "split.parquet",
    ]
    words += ["--pixels", "pixels"] if (code / "fairgen/data/decode.py").exists() else []
    return spent(
        [*words, "--seed", "0", "--model", "out/model", "--predictions", "out/predictions"], code, folder
    )


def gathering(file: Path, size: int) -> tuple[float, float]:
    """Random batches a second as images a second: from the file, which the system has in memory, and from an
    array.
    """
    stored = Stored(pixels.read(file, size))
    whole, rates = stored[:], []
    batches = [
        torch.randint(len(stored), (BATCH,), generator=torch.Generator().manual_seed(i)) for i in range(300)
    ]
    for source in (stored, whole):
        start = time.perf_counter()
        for batch in batches:
            source[batch]
        rates.append(300 * BATCH / (time.perf_counter() - start))
    return rates[0], rates[1]


def show(name: str, code: str, found: Spent, count: int) -> None:
    """Print a row."""
    speed = f"{count / found.wall:.0f}"
    print(
        f"{name:<10}{code:<8}{found.wall:>8.1f}{found.cpu:>8.1f}{speed:>10}{found.peak:>9.0f}{found.own:>9.0f}",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=50_000, help="a multiple of 10")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--methods", nargs="+", default=["erm", "groupdro", "jtt"])
    parser.add_argument("--against", type=Path, help="folder of another version")
    parser.add_argument("--json", type=Path)
    options, ratios = parser.parse_args(), {}
    versions = {"this": PROJECT} | ({"other": options.against.resolve()} if options.against else {})
    with tempfile.TemporaryDirectory() as place:
        folder, size = Path(place), options.size
        make(folder, options.images, size)
        print(
            f"{'stage':<10}{'code':<8}{'seconds':>8}{'cpu s':>8}{'images/s':>10}{'peak MiB':>9}{'own MiB':>9}"
        )
        words = [
            "fairgen.data.decode",
            "--settings",
            '{"threads": 1}',
            "--index",
            "index.parquet",
            "--resolution",
            str(size),
        ]
        show(
            "decode",
            "this",
            spent([*words, "--workers", "2", "--pixels", "pixels"], PROJECT, folder),
            options.images,
        )
        first = None
        for method in options.methods:
            found = {
                name: finetune(method, code, folder, size, options.steps) for name, code in versions.items()
            }
            for name, own in found.items():
                show(method, name, own, options.steps * BATCH)
            first = first or found["this"]
            ratios[f"{method} memory"] = found["this"].own / found.get("other", first).own
            ratios[f"{method} processor time"] = found["this"].cpu / found.get("other", first).cpu
        print(
            "random batches: {:.0f} images/s from the file, {:.0f} from memory".format(
                *gathering(folder / "pixels", size)
            )
        )
        print(f"the file takes {(folder / 'pixels').stat().st_size / 1e6:.0f} MB; ratios: {ratios}")
    if options.json:
        options.json.write_text(json.dumps({"ratios": ratios}, indent=1) + "\n")


if __name__ == "__main__":
    main()
