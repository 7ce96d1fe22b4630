"""What a GPU makes of fairgen, in ten minutes: the workflow from end to end, then rates and ratios.

    python benchmarks/card.py card               # on a machine with a GPU; figures into the folder card
    python benchmarks/card.py card --device cpu  # the same parts in miniature, to see that they run

Parts, in this order, each with its own log in the folder; one that fails, or has a command that takes longer
than `--limit`, does not keep the others from running. `card.json` has them all, with the GPU's name:

- birds: `birds` on `gpu: 1`, from drawings to worst_group. A job that trains is killed together with
  snakemake, and the same command goes on; then there must be nothing to do.
- utkface: the command of the README in the shape of the default config (Stable Diffusion 1.5's architecture,
  CLIP ViT-B/32, ResNet-50, all with random weights) on some drawn pictures named as UTKFace's are. Steps and
  images are few; sizes, precision and batches are those of config.yaml.
- rates: `benchmarks/rates.py`, for `fairgen estimate --rates card/rates.json`.
- adapt, shared, sample: the ratios of these benchmarks.
- tests: `tests/system/test_gpu.py`.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import common
import yaml
from PIL import Image

from fairgen.workflow.method_chain import merged

BIRDS: dict[str, Any] = {  # small enough for a minute, with steps enough to be caught at work
    "ratios": [0.95],
    "seeds": [0],
    "compare": ["erm", "lora", "dreambooth"],
    "datasets": {
        "birds": {
            "options": {"train": 200, "validation": 20, "test": 40, "shift": 4},
            "settings": {
                "prior": {"count": 8},
                "adapt": {"borrow_below": 5, "lora": {"steps": 60}, "full": {"steps": 60}},
                "sample": {"per_group": 40},
                "filter": {"by": "quantile", "threshold": 0.25, "quota": 24},
                "pretrain": {"steps": 40},
                "finetune": {"head": {"steps": 20}, "erm": {"steps": 40}},
            },
        }
    },
}
UTKFACE: dict[str, Any] = {  # few steps and images; everything else as in config.yaml
    "ratios": [0.9],
    "seeds": [0],
    "compare": ["erm", "groupdro", "vanilla", "lora", "clustered"],
    "prior": {"count": 8},
    "adapt": {"borrow_below": 4, "lora": {"steps": 12}, "full": {"steps": 12}},
    "sample": {"per_group": 16},
    "filter": {"by": "quantile", "threshold": 0.25, "quota": 8, "allow_shortfall": True},
    "methods": {"clustered": {"cluster": {"k": 2, "min_images": 4}}},
    "index": {"near": 0},
    "split": {"validation_floor": 2},
    "pretrain": {"steps": 8},
    "finetune": {"head": {"steps": 8}, "erm": {"steps": 8}, "groupdro": {"steps": 8}},
    "classifier": {"pretrained": False},
    "monitor": {"samples": {"images": 0}},
}
FACES = ((3, 0), (30, 0), (3, 1), (30, 1))  # age and gender of a picture of each group
EACH = 24  # pictures of a group
LIMIT, LONG = 240.0, 3600.0  # seconds of a command on a GPU, and on the CPU


@dataclass(frozen=True)
class Place:
    """Where the parts run, and on what."""

    out: Path
    device: str
    base: Path
    limit: float  # seconds of a command

    @property
    def gpus(self) -> int:
        """Of each job."""
        return int(self.device == "cuda")

    def environment(self) -> dict[str, str]:
        """Variables of every part."""
        return {**os.environ, "PYTHONPATH": str(common.PROJECT), "PYTHONUNBUFFERED": "1"}

    def call(self, name: str, words: list[str], folder: Path | None = None) -> None:
        """Run a command into the part's log; what it has started ends with it, and lets go of the GPU.

        Raises:
            RuntimeError: it failed, with the last of what it said, or took too long.
        """
        log, running = self.out / f"{name}.log", None
        try:
            with log.open("a") as file:
                print("$", *words, file=file, flush=True)
                running = subprocess.Popen(
                    words,
                    cwd=folder or common.PROJECT,
                    env=self.environment(),
                    stdout=file,
                    stderr=file,
                    start_new_session=True,
                )
                status = running.wait(self.limit)
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"took longer than {self.limit:g} s: {' '.join(words)}") from error
        finally:
            if running:
                end(running)
        if status:
            raise RuntimeError(f"exit status {status}: {' '.join(log.read_text().split()[-60:])}")


def end(running: subprocess.Popen[bytes]) -> None:
    """Kill a process and all of its session."""
    with suppress(ProcessLookupError):  # all of them have ended
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()


def workflow(place: Place, name: str, change: dict[str, Any]) -> Path:
    """A folder with the workflow and this change of its config."""
    folder = place.out / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for part in ("rules", "envs", "fairgen", "Snakefile"):
        (folder / part).symlink_to(common.PROJECT / part)
    config = yaml.safe_load((common.PROJECT / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump(merged(config, change), sort_keys=False))
    return folder


def snakemake(place: Place, target: str) -> list[str]:
    """The call of the README."""
    words = [sys.executable, "-m", "snakemake", "--cores", str(os.cpu_count()), target]
    return [*words, "--resources", "gpu=1"] if place.gpus else words


def birds(place: Place) -> dict[str, Any]:
    """From drawings to worst_group, killed once; what the log of the killed job says then."""
    folder = workflow(place, "birds", merged(BIRDS, {"datasets": {"birds": {"gpu": place.gpus}}}))
    target = "results/birds/worst_group.json"
    words = snakemake(place, target)
    # both are killed as soon as a training has left a state to go on from
    with (place.out / "birds.log").open("w") as file:
        env = {**place.environment(), "FAIRGEN_CHECKPOINT_SECONDS": "0"}
        running = subprocess.Popen(
            words, cwd=folder, env=env, stdout=file, stderr=file, start_new_session=True
        )
        state: list[Path] = []
        began = time.monotonic()
        while running.poll() is None and not state and time.monotonic() - began < place.limit:
            time.sleep(0.2)
            state = [*folder.glob("results/birds/*/*/adapters/*/.*.work/manifest.json")]
        end(running)
    if not state:
        raise RuntimeError("there was no training at which a job could have been killed")
    place.call("birds", [*words[:3], "--unlock", target], folder)
    place.call("birds", words, folder)
    found = json.loads((folder / target).read_text())["results"]["0.95"]
    logs = [log.read_text() for log in (folder / "results/logs/birds").rglob("*.log")]
    went_on = sum("goes on from" in log for log in logs)
    if not went_on:
        raise RuntimeError("no killed job has gone on from its state")
    place.call("birds", words, folder)
    if "Nothing to be done" not in (place.out / "birds.log").read_text().rsplit("$ ", 1)[-1]:
        raise RuntimeError("a second call found something to do")
    return {
        "worst_group": {name: entry["worst_group_accuracy"]["mean"] for name, entry in found.items()},
        "jobs on a GPU": sum("computes on GPU" in log for log in logs),
        "jobs that went on": went_on,
    }


def judge(folder: Path) -> Path:
    """CLIP ViT-B/32's architecture with random weights, in transformers' layout."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

    from fairgen.embedded import tiny

    tiny.write_tokenizer(folder / "words")
    tokenizer = CLIPTokenizer.from_pretrained(folder / "words", model_max_length=77)
    special = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    CLIPModel(CLIPConfig(text_config=special)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    CLIPImageProcessor().save_pretrained(folder)
    return folder


def faces(folder: Path) -> Path:
    """Drawn pictures under names as UTKFace has them."""
    folder.mkdir(parents=True)
    for number, (age, gender) in enumerate(FACES):
        drawn = common.pictures(("land", "water")[age > 5], EACH, 200, ("train", "validation")[gender])
        for i, pixels in enumerate(drawn):
            Image.fromarray(pixels).save(folder / f"{age}_{gender}_0_201701{number:02}{i:09}.jpg.chip.jpg")
    return folder


def utkface(place: Place) -> dict[str, Any]:
    """The README's command for UTKFace, on pictures that are none."""
    change = UTKFACE
    if place.gpus:
        clip = str(judge(place.out / "clip"))
        change = merged(
            change,
            {
                "diffusion": {"model": str(place.base)},
                "embed": {"encoder": {"model": clip}},
                "score": {"model": clip},
            },
        )
    else:
        own = yaml.safe_load((common.PROJECT / "examples/utkface-tiny.yaml").read_text())["datasets"][
            "utkface"
        ]
        names = ("embed", "diffusion", "score", "classifier")
        change = merged(change, {name: own["settings"][name] for name in names})
        change = merged(change, {"datasets": {"utkface": {"gpu": 0}}})
    folder = workflow(place, "utkface", change)
    faces(folder / "data/utkface")
    began, target = time.perf_counter(), "results/utkface/worst_group.json"
    place.call("utkface", snakemake(place, target), folder)
    logs = [log.read_text() for log in (folder / "results/logs/utkface").rglob("*.log")]
    return {
        "methods": [*json.loads((folder / target).read_text())["results"]["0.9"]],
        "seconds": time.perf_counter() - began,
        "jobs on a GPU": sum("computes on GPU" in log for log in logs),
    }


def benchmark(place: Place, name: str, *more: str) -> dict[str, Any]:
    """A benchmark of this folder; what it writes."""
    file = place.out / f"{name}.json"
    words = [
        "--device",
        place.device,
        "--base",
        str(place.base),
        "--json",
        str(file),
        "--repeats",
        "1",
        *more,
    ]
    place.call(name, [sys.executable, f"benchmarks/{name}.py", *words])
    found: dict[str, Any] = json.loads(file.read_text())
    return found.get("ratios", found)


def tests(place: Place) -> dict[str, Any]:
    """The tests of a GPU, in their own time: no part comes after them."""
    place = replace(place, limit=LONG)
    place.call("tests", [sys.executable, "-m", "pytest", "-q", "tests/system/test_gpu.py"])
    return {"said": (place.out / "tests.log").read_text().strip().splitlines()[-1]}


PARTS: dict[str, Callable[[Place], dict[str, Any]]] = {
    "birds": birds,
    "utkface": utkface,
    "rates": lambda place: benchmark(
        place, "rates", *([] if place.gpus else ["--steps", "4", "--images", "8"])
    ),
    "adapt": lambda place: benchmark(place, "adapt", "--steps", "30", "--images", "8"),
    "shared": lambda place: benchmark(
        place, "shared", "--steps", "12", "--images", "4", "--adapters", "8" if place.gpus else "2"
    ),
    "sample": lambda place: benchmark(place, "sample", "--images", "16"),
    "tests": tests,
}


def main() -> None:
    """Run the parts; prints a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--parts", nargs="+", choices=[*PARTS], default=[*PARTS])
    parser.add_argument(
        "--limit", type=float, help="seconds of a command, at most (default: 240; 3600 on the CPU)"
    )
    options = parser.parse_args()
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    limit = options.limit or (LIMIT if options.device == "cuda" else LONG)
    place = Place(out, options.device, out / "base", limit)
    name = "the CPU"
    if place.gpus:
        smi = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        name = subprocess.run(smi, capture_output=True, text=True, check=True).stdout.strip()
        base = "import common, pathlib, sys; common.base('cuda', pathlib.Path(sys.argv[1]))"
        place.call("base", [sys.executable, "-c", base, str(place.base)], common.PROJECT / "benchmarks")
    found: dict[str, Any] = {"device": name}
    for part in options.parts:
        began = time.perf_counter()
        try:
            found[part] = PARTS[part](place)
        except Exception as error:  # the others may still run
            found[part] = {"failed": str(error)}
        print(f"{part}: {time.perf_counter() - began:.0f} s, {json.dumps(found[part])}", flush=True)
        (out / "card.json").write_text(json.dumps(found, indent=1) + "\n")
    sys.exit(any("failed" in one for one in found.values() if isinstance(one, dict)))


if __name__ == "__main__":
    main()
