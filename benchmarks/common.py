"""What the benchmarks of the generators share: the base, its pictures, interleaved timing, FLOPs, the table
of ratios.

On the CPU the base is the embedded one, as it is. On CUDA it is Stable Diffusion 1.5's architecture with
random weights, in bfloat16 and at 512 pixels: speed does not depend on what the weights say, and nothing is
downloaded.
"""

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from fairgen.core import devices, images
from fairgen.embedded import birds, tiny
from fairgen.models.base_model import Base

PROJECT = Path(__file__).resolve().parent.parent
# dense bfloat16 FLOP/s by a part of the device's name, from NVIDIA's data sheets
PEAKS = {
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "4090": 165e12,
}


def given(text: str) -> dict[str, Any]:
    """Settings of a stage, as the rules give them, without the job's threads."""
    return {k: v for k, v in json.loads(text).items() if k != "threads"}


def parser(about: str) -> argparse.ArgumentParser:
    """The options that all have."""
    found = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    found.add_argument(
        "--repeats", type=int, default=3, help="runs of each side, in turn; medians are compared"
    )
    found.add_argument(
        "--peak", type=float, help="the GPU's dense bfloat16 FLOP/s, where its name is not known here"
    )
    found.add_argument(
        "--base", type=Path, help="folder that keeps CUDA's random base for the next benchmark"
    )
    found.add_argument("--json", type=Path, help="write the ratios")
    return found


def base(device: str, folder: Path) -> Base:
    """The base model of a device; the random one is written to `folder`, if it is not there."""
    torch.set_num_threads(1 if device == "cpu" else torch.get_num_threads())
    if device == "cpu":
        return Base("fairgen:embedded/weights/diffusion", None, None, "float32", 32)
    devices.ask(1)
    if not (folder / "model_index.json").exists():
        stable_diffusion(folder)
    return Base(str(folder), None, None, "bfloat16", 512)


def stable_diffusion(folder: Path) -> None:
    """Stable Diffusion 1.5's architecture with random weights, made on the GPU, in diffusers' layout."""
    from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    tiny.write_tokenizer(folder / "words")
    tokenizer = CLIPTokenizer.from_pretrained(folder / "words", model_max_length=77)
    text = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
    special = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    schedule = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1}
    with devices.current():
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            sample_size=512,
        )
        unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768)
        encoder = CLIPTextModel(
            CLIPTextConfig(vocab_size=49408, max_position_embeddings=77, **text, **special)
        )
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=PNDMScheduler(skip_prk_steps=True, set_alpha_to_one=False, **schedule),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(torch.bfloat16).save_pretrained(folder)


def pictures(place: str, count: int, size: int, stream: str = "train") -> np.ndarray:
    """The user's landbirds on `land` or `water`, (count, size, size, 3) uint8; drawn at 64 pixels at most,
    then enlarged.
    """
    drawn = (birds.users(7, stream, "landbird", place, i, min(size, 64)).pixels for i in range(count))
    return np.stack([np.asarray(images.fit(Image.fromarray(pixels), size)) for pixels in drawn])


@dataclass(frozen=True)
class Cost:
    """Wall-clock seconds, and GiB of the GPU's memory at the peak (0 on the CPU)."""

    seconds: float
    memory: float

    def __sub__(self, other: "Cost") -> "Cost":
        """What is left of the seconds without another run's."""
        return Cost(self.seconds - other.seconds, self.memory)


Costs = dict[str, Cost]  # by the names of the sides that are compared


def cost(work: Callable[[], object]) -> Cost:
    """What one call costs, with everything that it leaves to the GPU."""
    gc.collect()
    cuda = torch.cuda.is_initialized()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    work()
    if cuda:
        torch.cuda.synchronize()
    return Cost(time.perf_counter() - start, torch.cuda.max_memory_allocated() / 2**30 if cuda else 0.0)


def interleaved(sides: dict[str, Callable[[], object]], repeats: int) -> Costs:
    """Medians of each side, run in turn so that a slow minute of the machine meets all of them.

    The first round imports and compiles; it is not counted.
    """
    found: dict[str, list[Cost]] = {name: [] for name in sides}
    for _ in range(repeats + 1):
        for name, work in sides.items():
            found[name].append(cost(work))
    return {
        name: Cost(
            *(statistics.median(getattr(run, field) for run in runs[1:]) for field in ("seconds", "memory"))
        )
        for name, runs in found.items()
    }


def trainings(sides: dict[str, Callable[[int], object]], steps: int, repeats: int) -> tuple[Costs, Costs]:
    """Medians of trainings, each side a function of the number of steps: whole, and of all steps but the
    first.

    The second is what training itself takes, without loading and encoding.
    """
    runs = {name: partial(run, steps) for name, run in sides.items()}
    found = interleaved(runs | {f"{name}, one step": partial(run, 1) for name, run in sides.items()}, repeats)
    return {name: found[name] for name in sides}, {
        name: found[name] - found[f"{name}, one step"] for name in sides
    }


def flops(work: Callable[[], object]) -> float:
    """Floating-point operations of one call, counted by torch as it runs."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def step_flops(run: Callable[[int], object]) -> float:
    """Operations of one training step, of a training with a number of steps."""
    one, two = (flops(partial(run, steps)) for steps in (1, 2))
    return two - one


def peak_of(name: str) -> float | None:
    """The dense bfloat16 FLOP/s of a device, where its name is known."""
    return next((value for part, value in PEAKS.items() if part in name), None)


def on_gpu(images: float, spent: Cost, operations: float, peak: float | None) -> str:
    """Images a second, the share of the chip's peak, and the peak memory of a run with so many images and
    operations.
    """
    name, rate = torch.cuda.get_device_name(), operations / spent.seconds
    known = peak or peak_of(name)
    share = f"{rate / known:.1%} of the bfloat16 peak" if known else "peak unknown, give --peak"
    return (
        f"{name}: {images / spent.seconds:.2f} images/s, {rate / 1e12:.1f} TFLOP/s ({share}),"
        f" {spent.memory:.1f} GiB"
    )


def show(title: str, costs: Costs, ours: str) -> dict[str, float]:
    """Print one table, and return how many times faster `ours` is than each other side."""
    print(f"\n{title}\n{'':<44}{'seconds':>10}{'ratio':>8}")
    ratios = {name: found.seconds / costs[ours].seconds for name, found in costs.items()}
    for name, found in costs.items():
        memory = f"{found.memory:>10.1f} GiB" if found.memory else ""
        print(f"{name:<44}{found.seconds:>10.2f}{ratios[name]:>8.2f}{memory}", flush=True)
    return {name: ratio for name, ratio in ratios.items() if name != ours}


def write(path: Path | None, ratios: dict[str, float]) -> None:
    """Write the ratios, if a file was asked for."""
    if path:
        path.write_text(json.dumps({"ratios": ratios}, indent=1) + "\n")
