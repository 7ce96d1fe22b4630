"""Images a second of the stage `index`, its memory, and what that means for CelebA's 202,599 images.

    python benchmarks/ingest.py                     # made-up photographs in CelebA's layout and size
    python benchmarks/ingest.py --root data/celeba  # your own copy

Prints a table for two sizes, so that a cost which grows faster than the number of images would show; `--json
FILE` writes the ratios.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

CELEBA = 202_599
PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))


def make(root: Path, count: int) -> None:
    """A folder in CelebA's layout: smooth random pictures of 178 × 218 pixels as JPEG."""
    rng = np.random.default_rng(0)
    (root / "img_align_celeba").mkdir(parents=True)
    for i in range(count):
        coarse = Image.fromarray(rng.integers(0, 255, (27, 22, 3), dtype=np.uint8))
        coarse.resize((178, 218), Image.Resampling.BICUBIC).save(
            root / f"img_align_celeba/{i:06d}.jpg", quality=90
        )
    lines = (f"{i:06d}.jpg {1 - 2 * (i & 1):2d} {1 - (i & 2):2d}" for i in range(count))
    (root / "list_attr_celeba.txt").write_text(f"{count}\nBlond_Hair Male\n" + "\n".join(lines) + "\n")
    (root / "list_eval_partition.txt").write_text("".join(f"{i:06d}.jpg {i % 3}\n" for i in range(count)))


def index(root: Path, workers: int) -> tuple[float, float, int]:
    """Run the stage as its own process; returns seconds, peak MiB and images read."""
    from fairgen.workflow import stage_settings as table

    config = yaml.safe_load((PROJECT / "config.yaml").read_text())
    config["datasets"]["celeba"]["root"] = str(root)
    with tempfile.TemporaryDirectory() as folder:
        outputs = {
            "index": "index.parquet",
            "rejects": "rejects.parquet",
            "audit": "audit.json",
            "page": "audit.md",
        }
        words = [word for key, name in outputs.items() for word in (f"--{key}", f"{folder}/{name}")]
        command = [
            sys.executable,
            "-m",
            "fairgen.data.index",
            "--settings",
            table.settings(config, "celeba", "index"),
            *words,
        ]
        start = time.perf_counter()
        subprocess.run(
            [*command, "--workers", str(workers)], check=True, cwd=PROJECT, stderr=subprocess.DEVNULL
        )
        seconds = time.perf_counter() - start
        read = json.loads(Path(folder, "audit.json").read_text())["read"]
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, read


def near_search(count: int) -> float:
    """Seconds of the search for near-identical images among `count` random hashes."""
    from fairgen.data.duplicates import near_sets

    codes = np.random.default_rng(0).integers(0, 256, (count, 32), dtype=np.uint8)
    start = time.perf_counter()
    near_sets([code.tobytes() for code in codes], 40)
    return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        roots = [options.root]
        if options.root is None:
            roots = [Path(folder, str(n)) for n in (options.images // 4, options.images)]
            for root in roots:
                make(root, int(root.name))
        for root in roots:
            seconds, peak, read = index(root, options.workers)
            rows.append((read, seconds, read / seconds, peak))
    print(f"{'images':>8}{'seconds':>9}{'images/s':>10}{'peak MiB':>10}   ({options.workers} workers)")
    for row in rows:
        print(f"{row[0]:>8}{row[1]:>9.1f}{row[2]:>10.0f}{row[3]:>10.0f}")
    search = near_search(CELEBA // 4) * 16
    print(
        f"projected for {CELEBA} images: {(CELEBA / rows[-1][2] + search) / 60:.1f} min, of which near"
        f" search {search:.0f} s"
    )
    if options.json:
        options.json.write_text(
            json.dumps({"ratios": {"rate_large_to_small": rows[-1][2] / rows[0][2]}}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
