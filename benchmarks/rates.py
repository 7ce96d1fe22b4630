"""What this machine takes for the parts of a run, for `fairgen estimate --rates`.

    python benchmarks/rates.py --device cuda --json rates.json
    fairgen estimate results/utkface/worst_group.json --rates rates.json

Each part runs fairgen's own code with the settings of config.yaml, two numbers of steps of each, so that what
a step takes is told from loading: LoRA and full finetuning, drawing and decoding, CLIP, the classifier under
ERM, and the start of a job. On a GPU of Stable Diffusion 1.5's architecture, CLIP ViT-B/32 and the config's
classifier with random weights; on the CPU the embedded models.
"""

import json
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import adapt as training_benchmark
import common
import numpy as np
import sample as drawing_benchmark
import torch
import yaml

from fairgen.classify import training as classify
from fairgen.classify.examples import Examples
from fairgen.classify.recipe import Optimisation
from fairgen.commands import rates
from fairgen.core import devices, images
from fairgen.core.settings import read
from fairgen.generate import cuda_graphs, training
from fairgen.models import autoencoder, classifier, diffusion, scorer
from fairgen.models.base_model import Base
from fairgen.models.clip import Clip
from fairgen.workflow import stage_settings as table
from fairgen.workflow.expansion import expanded

# a base with random weights, made by another process: this one would hold the GPU that a job waits for
MAKE = """
import pathlib, sys
sys.path.insert(0, "benchmarks")
import common
common.base("cuda", pathlib.Path(sys.argv[1]))
"""
START = """
import sys
from fairgen.core import devices
from fairgen.models import base_model, diffusion, text_encoders
devices.ask(int(sys.argv[1]))
base = base_model.Base(sys.argv[2], None, None, sys.argv[3], int(sys.argv[4]))
text_encoders.encode_prompts(base, ["a photo"]), diffusion.load_denoiser(base), diffusion.load_vae(base)
"""


def made(device: str, folder: Path) -> Base:
    """The base of a device; no GPU is held for it."""
    if device == "cuda":
        words = [sys.executable, "-c", MAKE, str(folder.resolve())]
        subprocess.run(words, cwd=common.PROJECT, check=True)
    return common.base(device, folder)


def training_image(kind: str, base: Base, steps: int, repeats: int) -> float:
    """Seconds of an image of a training step; on a GPU of a replayed one, without those before the recording
    and without that.
    """
    given = training_benchmark.settings(kind, base, None)
    pixels, prior = (common.pictures("land", 8, base.resolution, name) for name in ("train", "validation"))
    recipe = given.recipe
    rows = recipe.accumulate * (recipe.batch + (recipe.prior_batch if recipe.prior_weight else 0))
    text, priors = training_benchmark.TEXT, [(training_benchmark.CLASS, prior)]
    priors = priors if recipe.prior_weight else []

    def run(steps: int) -> None:
        own = training_benchmark.short(given, steps)
        training.train(own, base, (text, pixels), priors, "benchmark")

    few = cuda_graphs.WARM_UP + 1 if devices.current().type == "cuda" else 1
    found = common.interleaved({str(n): partial(run, n) for n in (few, few + steps)}, repeats)
    return (found[str(few + steps)].seconds - found[str(few)].seconds) / (steps * rows)


def drawn_image(base: Base, count: int, repeats: int) -> tuple[float, float]:
    """Seconds of a row of the denoiser, and of decoding an image and making a PNG of it."""
    given = replace(drawing_benchmark.solver(base), guidance=2.0)
    draw = {
        steps: drawing_benchmark.fairgen(base, count, replace(given, steps=steps))
        for steps in (given.steps, 2 * given.steps)
    }
    vae = diffusion.load_vae(base)
    side = base.resolution // autoencoder.scale(vae)
    latents = torch.zeros(given.batch, vae.config.latent_channels, side, side, device=devices.current())

    def finish() -> None:
        list(images.encode_all(autoencoder.decode(vae, latents), given.batch))

    found = common.interleaved(
        {**{str(steps): run for steps, run in draw.items()}, "decode": finish}, repeats
    )
    few, many = (found[str(steps)].seconds for steps in draw)
    return (many - few) / (given.steps * 2 * count), found["decode"].seconds / given.batch


def judged_image(count: int, batch: int, repeats: int) -> float:
    """Seconds of an image through the vision tower of CLIP."""
    if devices.current().type == "cpu":
        model: Any = scorer.load("fairgen:embedded/weights/clip", "score.model")
    else:
        from transformers import CLIPConfig, CLIPModel

        plain = torch.zeros(1, 3, 1, 1)
        model = Clip(CLIPModel(CLIPConfig()).eval().to(devices.current()), None, plain, plain + 1)
    pixels = np.zeros((batch, model.size, model.size, 3), dtype=np.uint8)

    def run(batches: int) -> None:
        for _ in range(batches):
            model.images(pixels)

    found = common.interleaved({str(n): partial(run, n) for n in (1, 1 + count)}, repeats)
    return (found[str(1 + count)].seconds - found["1"].seconds) / (count * batch)


def learnt_image(dataset: str, steps: int, repeats: int) -> tuple[float, float]:
    """Seconds of an image of a training step of the data set's classifier, and the FLOPs of its pass."""
    config = expanded(yaml.safe_load((common.PROJECT / "config.yaml").read_text()))
    values = common.given(table.settings(config, dataset, "finetune", "erm", None))
    own = replace(read(classifier.Classifier, values["classifier"]), pretrained=False)
    recipe = read(Optimisation, {name: values["recipe"][name] for name in Optimisation.__annotations__})
    network = classifier.build(own, 2, 0, values["precision"])
    pixels = torch.randint(0, 256, (256, 3, own.resolution, own.resolution), dtype=torch.uint8)
    rows = Examples(pixels, torch.arange(256) % 2, torch.zeros(256, dtype=torch.long))

    def run(steps: int) -> None:
        generator = torch.Generator().manual_seed(0)
        for _ in classify.descend(network, rows, replace(recipe, steps=steps), classify.mean_loss, generator):
            pass

    _, apart = common.trainings({"classifier": run}, steps, repeats)
    work = rates.classifier(own.model, json.dumps(own.args, sort_keys=True), own.resolution)
    assert work is not None
    return apart["classifier"].seconds / ((steps - 1) * recipe.batch), work[1]


def start(base: Base, gpus: int, repeats: int) -> float:
    """Seconds until a job has loaded its models, the least of some runs."""
    words = [str(gpus), base.model, base.dtype, str(base.resolution)]
    spent = []
    for _ in range(repeats):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", START, *words], cwd=common.PROJECT, check=True)
        spent.append(time.perf_counter() - began)
    return min(spent)


def machine(gpus: int) -> str:
    """What the rates are of."""
    return torch.cuda.get_device_name() if gpus else f"{platform.machine()}, one core"


def main() -> None:
    """Print the rates, and write them."""
    parser = common.parser(__doc__)
    parser.add_argument("--steps", type=int, default=21, help="that are timed of each training (default: 21)")
    parser.add_argument("--images", type=int, default=32, help="to draw (default: 32)")
    options = parser.parse_args()
    gpus = int(options.device == "cuda")
    device = "gpu" if gpus else "cpu"
    with tempfile.TemporaryDirectory() as folder:
        base = made(options.device, options.base or Path(folder))
        seconds = {"start": start(base, gpus, options.repeats)}
        for kind in training_benchmark.METHODS:
            seconds[kind] = training_image(kind, base, options.steps, options.repeats)
        seconds["row"], seconds["decode"] = drawn_image(base, options.images, options.repeats)
        seconds["clip"] = judged_image(8, 64, options.repeats)
        each, work = learnt_image("utkface" if gpus else "birds", options.steps, options.repeats)
    step = each * rates.REFERENCE[device] / work
    for name, value in {**seconds, "step": step}.items():
        before = rates.SECONDS[device].get(name, rates.STEP[device])
        print(f"{name:<8}{value:>12.6f} s{value / before:>8.2f} of the reference", flush=True)
    found = {"machine": machine(gpus), "device": device, "seconds": seconds, "step": step}
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
