"""What the benchmarks of the generators share: the base, its pictures, interleaved timing, FLOPs, the table of ratios.

On the CPU the base is the embedded one, as it is. On CUDA it is Stable Diffusion 1.5's architecture with random weights,
in bfloat16 and at 512 pixels: speed does not depend on what the weights say, and nothing is downloaded.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from fairgen import devices
from fairgen.embedded import birds, tiny
from fairgen.models.diffusion import Base

PROJECT = Path(__file__).resolve().parent.parent
# dense bfloat16 FLOP/s by a part of the device's name, from NVIDIA's data sheets
PEAKS = {"H200": 989e12, "H100 PCIe": 756e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12, "4090": 165e12}


def parser(about: str) -> argparse.ArgumentParser:
    """The options that all have."""
    found = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    found.add_argument("--repeats", type=int, default=3, help="runs of each side, in turn; medians are compared")
    found.add_argument("--peak", type=float, help="the GPU's dense bfloat16 FLOP/s, where its name is not known here")
    found.add_argument("--json", type=Path, help="write the ratios")
    return found


def base(device: str, folder: Path) -> Base:
    """The base model of a device; the random one is written to `folder`."""
    torch.set_num_threads(1 if device == "cpu" else torch.get_num_threads())
    if device == "cpu":
        return Base("fairgen:embedded/weights/diffusion", None, None, "float32", 32)
    devices.ask(1)
    stable_diffusion(folder)
    return Base(str(folder), None, None, "bfloat16", 512)


def stable_diffusion(folder: Path) -> None:
    """Stable Diffusion 1.5's architecture with random weights, in diffusers' layout."""
    from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    tiny.write_tokenizer(folder / "words")
    tokenizer = CLIPTokenizer.from_pretrained(folder / "words", model_max_length=77)
    text = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
    special = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    schedule = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1}
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        sample_size=512,
    )
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(CLIPTextConfig(vocab_size=49408, max_position_embeddings=77, **text, **special)),
        tokenizer=tokenizer,
        unet=UNet2DConditionModel(sample_size=64, cross_attention_dim=768),
        scheduler=PNDMScheduler(skip_prk_steps=True, set_alpha_to_one=False, **schedule),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(torch.bfloat16).save_pretrained(folder)


def pictures(place: str, count: int, size: int, stream: str = "train") -> np.ndarray:
    """The user's landbirds on `land` or `water`, (count, size, size, 3) uint8."""
    return np.stack([birds.users(7, stream, "landbird", place, i, size).pixels for i in range(count)])


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call, with everything that it left on the GPU."""
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def interleaved(sides: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each side, run in turn so that a slow minute of the machine meets all of them.

    The first round imports and compiles; it is not counted.
    """
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats + 1):
        for name, work in sides.items():
            found[name].append(seconds(work))
    return {name: statistics.median(times[1:]) for name, times in found.items()}


def flops(work: Callable[[], object]) -> float:
    """Floating-point operations of one call, counted by torch as it runs; the peak of the GPU's memory begins anew."""
    from torch.utils.flop_counter import FlopCounterMode

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def training_flops(run: Callable[[int], object], steps: int) -> float:
    """Operations of a training: those before it, and those of one step as often as there are steps."""
    one, two = (flops(lambda n=n: run(n)) for n in (1, 2))
    return one + (two - one) * (steps - 1)


def on_gpu(images: float, spent: float, operations: float, peak: float | None) -> str:
    """Images a second, the share of the chip's peak, and the peak memory, of a run that took `spent` seconds.

    The memory is that of the calls since `flops` counted the `operations`.
    """
    name = torch.cuda.get_device_name()
    known = peak or next((value for part, value in PEAKS.items() if part in name), None)
    share = f"{operations / spent / known:.1%} of the bfloat16 peak" if known else "peak unknown, give --peak"
    memory = torch.cuda.max_memory_allocated() / 2**30
    return f"{name}: {images / spent:.2f} images/s, {operations / spent / 1e12:.1f} TFLOP/s ({share}), {memory:.1f} GiB"


def show(title: str, times: dict[str, float], ours: str) -> dict[str, float]:
    """Print one table, and return how many times faster `ours` is than each other side."""
    print(f"\n{title}\n{'':<44}{'seconds':>10}{'ratio':>8}")
    for name, spent in times.items():
        print(f"{name:<44}{spent:>10.2f}{spent / times[ours]:>8.2f}")
    return {name: spent / times[ours] for name, spent in times.items() if name != ours}


def write(path: Path | None, ratios: dict[str, float]) -> None:
    """Write the ratios, if a file was asked for."""
    if path:
        path.write_text(json.dumps({"ratios": ratios}, indent=1) + "\n")
