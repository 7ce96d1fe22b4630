"""Training of one adapter: fairgen's loop on cached latents and prompt states, against a plain loop.

    python benchmarks/adapt.py
    python benchmarks/adapt.py --device cuda
    python benchmarks/adapt.py --peer diffusers/examples/dreambooth
    python benchmarks/adapt.py --device cuda --batches 4 8 16 32 64 --compiled --steps 30 --repeats 1

The plain loop encodes images and prompts in every step, as the DreamBooth scripts of diffusers do, with the
same weights, dtypes, optimizer, batch and number of steps, and with autocast around the whole denoiser; its
pixels lie ready in memory. With `--peer`, the folder of those scripts, `train_dreambooth.py` and
`train_dreambooth_lora.py` run as whole processes against the stage `adapt` as a whole process. Settings are
those of `birds` in config.yaml; on CUDA, those at the top level with `--steps` steps.

With `--batches` it is asked instead which batch a card is best used with: rows a second and the share of the
card's peak for each, with `--compiled` also of compiled blocks.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

import common
import numpy as np
import torch
import yaml
from PIL import Image
from torch.nn import functional as F

from fairgen.core import devices, parquet
from fairgen.core.settings import read
from fairgen.generate import cuda_graphs, optimization, training
from fairgen.generate.recipe import Adapt
from fairgen.models import base_model, diffusion, text_encoders
from fairgen.models.checkpoints import locate
from fairgen.models.ddpm import noise_schedule
from fairgen.models.parts import DTYPES
from fairgen.workflow import stage_settings as table

METHODS = {"lora": "lora", "full": "dreambooth"}
TEXT, CLASS = "a landbird on land V", "a landbird on land"


def settings(kind: str, base: base_model.Base, steps: int | None) -> Adapt:
    """The stage's settings, on this base; prior images come in the instance's batch size, as the scripts have
    it.
    """
    config = yaml.safe_load((common.PROJECT / "config.yaml").read_text())
    if base.resolution > 32:
        del config["datasets"]["birds"]["settings"]["adapt"]
    values = common.given(table.settings(config, "birds", "adapt", METHODS[kind], "landbird-land"))
    found = read(Adapt, {**values, "base": vars(base)})
    prior = found.recipe.batch if found.recipe.prior_weight else 0
    return replace(found, recipe=replace(found.recipe, prior_batch=prior, steps=steps or found.recipe.steps))


def short(given: Adapt, steps: int) -> Adapt:
    """The same settings with a number of steps."""
    return replace(given, recipe=replace(given.recipe, steps=steps))


def autocast(base: base_model.Base) -> torch.autocast:
    """The precision of a step."""
    return torch.autocast(devices.current().type, DTYPES[base.dtype], enabled=base.dtype != "float32")


def plain(given: Adapt, base: base_model.Base, pixels: np.ndarray, prior: np.ndarray) -> None:
    """Train as diffusers' scripts do: every step encodes its images and its prompts."""
    recipe, place = given.recipe, devices.current()
    vae, schedule = diffusion.load_vae(base), noise_schedule(base)
    unet = diffusion.load_denoiser(base, torch.float32 if given.kind == "full" else None)
    weights = training.trainable(unet.train(), given)
    tokenizer, encoder = text_encoders.load_tokenizer(base), text_encoder(base)
    optimizer = torch.optim.AdamW(weights, lr=recipe.lr, weight_decay=1e-2)
    rates = optimization.lr_schedule(optimizer, recipe)
    ready = [torch.from_numpy(x).permute(0, 3, 1, 2).float().to(place) / 127.5 - 1 for x in (pixels, prior)]
    words = [TEXT] * recipe.batch + [CLASS] * recipe.prior_batch
    for _ in range(recipe.steps):
        rows = [
            x[torch.randint(len(x), (size,))]
            for x, size in zip(ready, (recipe.batch, recipe.prior_batch), strict=True)
        ]
        with torch.no_grad():
            clean = (
                vae.encode(torch.cat(rows).to(vae.dtype)).latent_dist.sample().float()
                * vae.config.scaling_factor
            )
            tokens = tokenizer(words, padding="max_length", return_tensors="pt").input_ids.to(place)
            states = encoder(tokens).last_hidden_state
        noise = torch.randn_like(clean)
        steps = torch.randint(0, schedule.config.num_train_timesteps, (len(clean),), device=place)
        with autocast(base):
            noisy = schedule.add_noise(clean, noise, steps).to(unet.dtype)
            predicted = unet(noisy, steps, states.to(unet.dtype)).sample
        error = [
            F.mse_loss(x.float(), y)
            for x, y in zip(predicted.split(recipe.batch), noise.split(recipe.batch), strict=True)
        ]
        (error[0] + recipe.prior_weight * sum(error[1:])).backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        rates.step()
        optimizer.zero_grad()


def text_encoder(base: base_model.Base) -> torch.nn.Module:
    """The frozen text encoder."""
    from transformers import CLIPTextModel

    folder = Path(locate(base.model), "text_encoder")
    return CLIPTextModel.from_pretrained(folder, dtype=DTYPES[base.dtype]).eval().to(devices.current())


def loops(
    given: Adapt, base: base_model.Base, pixels: np.ndarray, prior: np.ndarray
) -> dict[str, Callable[[int], object]]:
    """The loops with a number of steps, loading of the models included; on a GPU also fairgen's without CUDA
    graphs.
    """
    priors = [(CLASS, prior)] if given.recipe.prior_batch else []

    def ours(steps: int) -> None:
        training.train(short(given, steps), base, (TEXT, pixels), priors, "benchmark")

    def without_graphs(steps: int) -> None:
        with mock.patch.object(cuda_graphs, "WARM_UP", steps):
            ours(steps)

    more = {"fairgen without CUDA graphs": without_graphs} if devices.current().type == "cuda" else {}
    return {
        "fairgen": ours,
        "plain loop": lambda steps: plain(short(given, steps), base, pixels, prior),
        **more,
    }


def stage(given: Adapt, folder: Path, gpus: int) -> Callable[[], object]:
    """The stage `adapt` as a process, on the pictures in `folder`."""
    values = {"prompts": {"g": "a landbird on land [V]"}, "donors": {"g": None}}
    text = json.dumps({**vars(given), "recipe": vars(given.recipe), **values})
    names = sorted(f"instance/{path.name}" for path in (folder / "instance").iterdir())
    rows = {"id": names, "group": ["g"] * len(names)}
    parquet.write(folder / "clusters.parquet", {**rows, "cluster": [0] * len(names)})
    parquet.write(folder / "split.parquet", {**rows, "path": names}, facts={"root": str(folder)})
    words = [
        f"--clusters={folder}/clusters.parquet",
        f"--split={folder}/split.parquet",
        "--group=g",
        "--cluster=0",
    ]
    words += ["--prior", str(folder / "prior.parquet")] if given.recipe.prior_batch else []
    command = [
        sys.executable,
        "-m",
        "fairgen.generate.adapt",
        "--settings",
        text,
        *words,
        f"--adapter={folder}/a.safetensors",
    ]
    return lambda: process([*command, f"--gpu={gpus}"])


def script(given: Adapt, base: base_model.Base, folder: Path, peer: Path) -> Callable[[], object]:
    """diffusers' script for the same training as a process."""
    recipe = given.recipe
    options = {
        "pretrained_model_name_or_path": locate(base.model),
        "instance_data_dir": folder / "instance",
        "instance_prompt": TEXT,
        "output_dir": folder / "peer",
        "resolution": base.resolution,
        "train_batch_size": recipe.batch,
        "max_train_steps": recipe.steps,
        "learning_rate": recipe.lr,
        "lr_scheduler": recipe.schedule,
        "lr_warmup_steps": recipe.warmup,
        "mixed_precision": {"float32": "no", "bfloat16": "bf16"}[base.dtype],
        "seed": 0,
    }
    if given.kind == "lora":
        options["rank"] = recipe.rank
    if recipe.prior_batch:
        options |= {
            "class_data_dir": folder / "class",
            "class_prompt": CLASS,
            "prior_loss_weight": recipe.prior_weight,
        }
        options["num_class_images"] = len(list((folder / "class").iterdir()))
    name = "train_dreambooth_lora.py" if given.kind == "lora" else "train_dreambooth.py"
    words = [f"--{key}={value}" for key, value in options.items()] + ["--with_prior_preservation"] * bool(
        recipe.prior_batch
    )
    return lambda: process([sys.executable, str(peer / name), *words])


def process(command: list[str]) -> None:
    """Run a command with the threads of this process; its output is shown if it fails."""
    env = {**os.environ, "PYTHONPATH": str(common.PROJECT), "OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:3])} failed:\n{done.stderr[-2000:]}")


def write_pictures(folder: Path, pixels: np.ndarray, prior: np.ndarray) -> None:
    """Files for the processes: two folders of PNG, and the prior as the stage's table."""
    from fairgen.core import images
    from fairgen.generate import prior as stage_prior

    for name, listed in (("instance", pixels), ("class", prior)):
        (folder / name).mkdir()
        for i, picture in enumerate(listed):
            Image.fromarray(picture).save(folder / name / f"{i:04d}.png")
    rows = ((images.encode_png(x), {"prompt": CLASS, "seed": i}) for i, x in enumerate(prior))
    parquet.write_images(folder / "prior.parquet", rows, stage_prior.FIELDS, {})


def by_batch(
    given: Adapt, base: base_model.Base, pixels: np.ndarray, prior: np.ndarray, options: argparse.Namespace
) -> dict[str, float]:
    """Print a table over batch sizes, and return the rows a second of each; the FLOPs of a row are counted
    once.
    """
    found: dict[str, float] = {}
    priors = [(CLASS, prior)] if given.recipe.prior_batch else []
    peak = options.peak or (options.device == "cuda" and common.peak_of(torch.cuda.get_device_name()))

    def of(size: int, compiled: bool) -> Callable[[int], object]:
        sizes = {"batch": size, "prior_batch": size if priors else 0, "compile": compiled}
        own = replace(given, recipe=replace(given.recipe, **sizes))
        return lambda steps: training.train(short(own, steps), base, (TEXT, pixels), priors, "benchmark")

    each = 2 if priors else 1  # rows of the batch for each image of the cluster in it
    operations = common.step_flops(of(options.batches[0], False)) / (options.batches[0] * each)
    print(f"\nadapt, {given.kind}: {operations / 1e9:.3g} GFLOP a row\n{'':<28}{'rows/s':>10}{'of peak':>10}")
    for size in options.batches:
        for compiled in (False, True) if options.compiled else (False,):
            name = f"batch {size}{f' + {size}' if priors else ''}{', compiled' if compiled else ''}"
            try:
                _, steps = common.trainings({name: of(size, compiled)}, given.recipe.steps, options.repeats)
            except torch.OutOfMemoryError:
                print(f"{name:<28}{'too large':>10}", flush=True)
                continue
            found[name] = (given.recipe.steps - 1) * size * each / steps[name].seconds
            share = f"{found[name] * operations / peak:.1%}" if peak else "–"
            memory = f"{steps[name].memory:>10.1f} GiB" if steps[name].memory else ""
            print(f"{name:<28}{found[name]:>10.1f}{share:>10}{memory}", flush=True)
    print(f"best: {max(found, key=lambda name: found[name])}")
    return {f"{given.kind}, {name}: rows a second": rate for name, rate in found.items()}


def main() -> None:
    """Print a table for each kind of adapter."""
    parser = common.parser(__doc__)
    parser.add_argument(
        "--kinds", nargs="+", choices=METHODS, default=list(METHODS), help="of adapters (default: both)"
    )
    parser.add_argument("--steps", type=int, help="training steps (default: the config's)")
    parser.add_argument("--images", type=int, default=100, help="of the cluster (default: 100)")
    parser.add_argument("--batches", type=int, nargs="+", help="compare these batch sizes instead")
    parser.add_argument("--compiled", action="store_true", help="and each with compiled blocks too")
    parser.add_argument("--peer", type=Path, help="folder of diffusers' DreamBooth scripts")
    options = parser.parse_args()
    ratios = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = common.base(options.device, options.base or folder / "base")
        pixels, prior = (common.pictures(p, options.images, base.resolution) for p in ("land", "water"))
        write_pictures(folder, pixels, prior)
        for kind in options.kinds:
            given = settings(kind, base, options.steps)
            if options.batches:
                ratios |= by_batch(given, base, pixels, prior, options)
                continue
            recipe, sides = given.recipe, loops(given, base, pixels, prior)
            whole, steps = common.trainings(sides, recipe.steps, options.repeats)
            if options.peer:
                processes = {"stage, whole process": stage(given, folder, int(options.device == "cuda"))}
                processes["diffusers' script, whole process"] = script(given, base, folder, options.peer)
                for lock in devices.held:  # the processes take the GPU for themselves
                    lock.close()
                found = common.interleaved(processes, options.repeats)
                whole |= {name: common.Cost(spent.seconds, 0) for name, spent in found.items()}
            found = common.show(
                f"adapt, {kind}: {recipe.steps} steps of batch {recipe.batch}", whole, "fairgen"
            )
            ratios[f"{kind}: plain loop / fairgen"] = found["plain loop"]
            if options.peer:
                ours, theirs = (whole[name].seconds for name in processes)
                ratios[f"{kind}: script / stage"] = theirs / ours
                print(f"diffusers' script takes {theirs / ours:.2f} times as long as the stage")
            found = common.show(f"adapt, {kind}: the steps alone", steps, "fairgen")
            ratios[f"{kind}: plain loop / fairgen, steps"] = found["plain loop"]
            if options.device == "cuda":
                drawn = (recipe.steps - 1) * (recipe.batch + recipe.prior_batch)
                counted = common.step_flops(sides["fairgen"]) * (recipe.steps - 1)
                print(common.on_gpu(drawn, steps["fairgen"], counted, options.peak))
    common.write(options.json, ratios)


if __name__ == "__main__":
    main()
