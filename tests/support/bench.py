"""Small inputs of every stage that can be interrupted, and their commands."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import warm
from workflows import PROJECT

from fairgen.core import images, parquet
from fairgen.data import pixels
from fairgen.embedded import birds
from fairgen.workflow import stages

BASE = {
    "model": "fairgen:embedded/weights/diffusion",
    "revision": None,
    "variant": None,
    "dtype": "float32",
    "resolution": 32,
}
COMMON = {
    "base": BASE,
    "prompts": {"g": "a landbird on land [V]"},
    "donors": {"g": None},
    "token": "V",
    "seed": 0,
    "threads": 1,
}
RECIPE = {
    "lr": 1e-3,
    "steps": 6,
    "batch": 3,
    "schedule": "cosine",
    "warmup": 2,
    "ema": 0.9,
    "prior_weight": 1,
    "prior_batch": 2,
}
RECIPE |= {"accumulate": 2, "gradient_checkpointing": False}
ADAPT = {**COMMON, "borrow_below": 0, "min_snr": 5, "offset_noise": 0.1}
SOLVER = {"scheduler": "dpmsolver++", "steps": 2, "guidance": 2, "negative_prompt": "", "batch": 3}
NETWORK = {
    "model": "resnet10t",
    "args": {"channels": [8, 8, 8, 8], "stem_width": 8},
    "pretrained": False,
    "resolution": 32,
}
SETTINGS = {
    "lora": {**ADAPT, "kind": "lora", "recipe": {**RECIPE, "rank": 4, "alpha": 8}},
    "shared": {**ADAPT, "kind": "lora", "recipe": {**RECIPE, "rank": 4, "alpha": 8}},
    "full": {**ADAPT, "kind": "full", "recipe": {**RECIPE, "text_lr": 1e-4}},
    "sample": {**COMMON, "per_group": 8, "floor": 1, "solver": SOLVER},
    "pretrain": {
        "classifier": NETWORK,
        "precision": "float32",
        "recipe": {"steps": 6, "batch": 4, "lr": 1e-3, "weight_decay": 1e-4, "optimizer": "adamw"},
        **{"supcon": 1, "temperature": 0.07, "projection": 16, "weights": "score", "extra": None, "near": 0},
        **{"classes": ["x", "y"], "targets": {"g": "x"}, "threads": 1},
    },
}
RECIPES = ("groupdro", "resample", "jtt")
COMMON_RECIPE = {
    "batch": 4,
    "lr": 1e-3,
    "weight_decay": 1e-4,
    "optimizer": "adamw",
    "evaluate_every": 2,
    "select": "groups",
    "patience": 0,
}
FINETUNE = {
    **{"classifier": NETWORK, "precision": "float32", "start": None, "threads": 1},
    **{"classes": ["x", "y"], "targets": {"g": "x", "h": "y"}, "groups": ["g", "h"]},
}
SETTINGS |= {
    "groupdro": {
        **FINETUNE,
        "kind": "groupdro",
        "recipe": {**COMMON_RECIPE, "steps": 6, "step_size": 0.5, "adjustment": 1},
    },
    "resample": {**FINETUNE, "kind": "resample", "recipe": {**COMMON_RECIPE, "steps": 6}},
    # killed in the second phase, whose first one is made again
    "jtt": {
        **FINETUNE,
        "kind": "jtt",
        "recipe": {**COMMON_RECIPE, "steps": 6, "identify_steps": 3, "upweight": 2},
    },
}
KILLED = """
import os, runpy, signal, sys
from fairgen.core.workfolder import WorkFolder
save = WorkFolder.save
def last_words(self, *words, **more):
    save(self, *words, **more)
    if max(self.progress.get(name, 0) for name in ("step", "images")) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
WorkFolder.save = last_words
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


@dataclass
class Bench:
    """Small inputs of every stage that can be interrupted, and their commands."""

    folder: Path

    def start(self, name: str, **more: Any) -> subprocess.Popen:
        """Start the stage as a command, with the words of `command`."""
        words, env = self.command(name, **more)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([sys.executable, *words], env=env, cwd=self.folder, text=True, **pipes)

    def run(self, name: str, cold: bool = False, **more: Any) -> subprocess.CompletedProcess:
        """The same, to its end; without a GPU by a process that has the libraries already, and with them the
        hash seed of all such, unless it is to begin with nothing.
        """
        if warm.POSSIBLE and not cold and not more.get("gpu"):
            return warm.run(*self.command(name, **more), self.folder)
        with self.start(name, **more) as job:
            out, err = job.communicate()
        return subprocess.CompletedProcess(job.args, job.returncode, out, err)

    def command(
        self, name: str, killed: bool = False, settings: dict | None = None, gpu: int = 0
    ) -> tuple[list[str], dict[str, str]]:
        """The words of a stage's command after Python, and its environment: on so many GPUs; `killed` ends it
        by SIGKILL after its fourth step or image.
        """
        names = {
            **dict.fromkeys(("lora", "full"), "adapt"),
            "shared": "adapt_shared",
            **dict.fromkeys(RECIPES, "finetune"),
        }
        stage = names.get(name, name)
        words = ["-c", KILLED, stages.module(stage)] if killed else ["-m", stages.module(stage)]
        words += [
            "--settings",
            json.dumps(settings or SETTINGS[name]),
            "--log",
            str(self.folder / "log"),
            "--gpu",
            str(gpu),
        ]
        words += [str(word) for word in self.options(stage)]
        env = {
            **os.environ,
            "PYTHONPATH": str(PROJECT),
            "FAIRGEN_CHECKPOINT_SECONDS": "0" if killed else "600",
        }
        return words, env

    def options(self, stage: str) -> list[str | Path]:
        """Files and wildcards of a stage."""
        return {
            "adapt": [
                *(
                    "--clusters",
                    "c.parquet",
                    "--split",
                    "s.parquet",
                    "--prior",
                    self.folder / "drawn.parquet",
                ),
                *("--group", "g", "--cluster", "0", "--adapter", self.output),
            ],
            "adapt_shared": [
                *(
                    "--clusters",
                    "c.parquet",
                    "--split",
                    "s.parquet",
                    "--prior",
                    self.folder / "drawn.parquet",
                ),
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
    parquet.write_images(
        folder / "drawn.parquet", [(x, {"prompt": "a bird"}) for x in drawn], {"prompt": pa.string()}, {}
    )
    files = [f"drawn.parquet#{i}" for i in range(8)]
    hashes = [hashlib.sha256(x).hexdigest() for x in drawn]
    columns = {"id": range(8), "path": files, "group": ["g"] * 8, "hash": hashes}
    parquet.write(folder / "s.parquet", columns, {"root": str(folder)})
    parquet.write(folder / "c.parquet", {"id": range(8), "group": ["g"] * 8, "cluster": [0] * 5 + [1] * 3})
    labelled = {"id": range(8), "path": files, "group": ["g", "h"] * 4, "target": ["x", "y"] * 4}
    labelled["split"] = ["train"] * 4 + ["validation"] * 2 + ["test"] * 2
    parquet.write(folder / "labelled.parquet", labelled, {"root": str(folder)})
    pixels.write(folder / "32.safetensors", 8, 32, enumerate(images.load(folder, files, 32, None)))
    kept = {
        "group": ["g"] * 8,
        "file": [str(folder / "drawn.parquet")] * 8,
        "kept": [True] * 8,
        "score": [0.5] * 8,
    }
    parquet.write(folder / "selection.parquet", kept)
    return Bench(folder)
