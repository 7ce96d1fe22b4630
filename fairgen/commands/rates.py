"""What jobs cost by reference: seconds, images and bytes from their settings, where no like job has run yet.

Every amount is a range [low, high]; None stands for what no reference knows. Rates of generators on a GPU
were measured on one NVIDIA H200 (Stable Diffusion 1.5's architecture at 512 pixels in bfloat16, see
docs/machines.md) and are scaled to other cards by their peak, to other bases and sizes by the work of one
pass. Rates on the CPU are of the embedded model and its classifier, measured on two shared cores.
"""

import json
from collections.abc import Callable
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from fairgen.commands.amounts import Amount, plus, times
from fairgen.commands.cards import SPREAD, speed
from fairgen.commands.measured import Measured
from fairgen.core import safetensors_header
from fairgen.generate.recipe import rows_each
from fairgen.models.checkpoints import locate
from fairgen.models.lora import LORA_TARGETS
from fairgen.models.pipelines import guess

# by device: an image of a training step, a row of one call of the denoiser, an image decoded, one through
# CLIP
SECONDS = {
    "gpu": {"lora": 0.01125, "full": 0.0175, "row": 0.0031, "decode": 0.025, "clip": 0.006, "start": 25.0},
    "cpu": {"lora": 0.006, "full": 0.0095, "row": 0.002, "decode": 0.014, "clip": 0.0012, "start": 6.0},
}
# seconds of a training image of REFERENCE; on the GPU from public figures
STEP = {"gpu": 1 / 900, "cpu": 1 / 1100}
# FLOPs of a pass of ResNet-50 at 224 pixels; of birds' classifier at 32
REFERENCE = {"gpu": 8.2e9, "cpu": 1.18e7}
LIGHT = (1.0, 15.0)  # a job without a model
# an image read, read and hashed, drawn by the renderer
READ, INGEST, DRAWN = (0.001, 0.02), (0.001, 0.02), (0.002, 0.01)

# by the width of the text states: millions of the UNet's weights, its work at 512 pixels, LoRA weights per
# rank
BASES = {
    768: (859.5, 1.0, 199_296),
    1024: (865.9, 1.0, 207_872),
    2048: (2567.5, 1.9, 1_451_520),
}
KNOWN = {"stable-diffusion-v1": 768, "stable-diffusion-2": 1024, "stable-diffusion-xl": 2048, "sdxl": 2048}
PNG = (1.0, 2.5)  # bytes per pixel of a drawn image
# the noise schedule of Stable Diffusion 1.x, 2.x and XL, and of the embedded base: time steps, β's ends
TIMES, BETAS = 1000, (0.00085, 0.012)


@cache
def unet(model: str) -> dict[str, list[int]] | None:
    """Shapes of a local base's UNet weights, from its folder in diffusers' layout; None for a base that is
    not there.
    """
    files = sorted(Path(locate(model), "unet").glob("*.safetensors"))
    return {
        name: shape for file in files[:1] for name, shape in safetensors_header.shapes(file).items()
    } or None


def unrated(model: str) -> bool:
    """Whether a base is trained by flow matching, of which no rate was measured."""
    return bool(guess(model)) or Path(locate(model), "transformer").is_dir()


def width(model: str) -> int | None:
    """Width of the text states that a base reads, which tells its family; None if that is not known."""
    if unrated(model):
        return None
    config = Path(locate(model), "unet", "config.json")
    if config.is_file():
        return json.loads(config.read_text()).get("cross_attention_dim")
    return next((found for name, found in KNOWN.items() if name in model.lower()), None)


def weights(model: str) -> float | None:
    """Number of weights of a base's UNet."""
    if shapes := unet(model):
        return sum(prod(shape) for shape in shapes.values())
    family = BASES.get(width(model) or 0)
    return family[0] * 1e6 if family else None


def lora_weights(model: str, recipe: dict[str, Any]) -> float | None:
    """Number of weights of a LoRA adapter: rank · (in + out) of every layer that it adapts."""
    if shapes := unet(model):
        ends = tuple(f"{name}.weight" for name in recipe["targets"] or LORA_TARGETS)
        return sum(
            recipe["rank"] * (shape[0] + shape[1])
            for name, shape in shapes.items()
            if name.endswith(ends) and len(shape) > 1
        )
    family = BASES.get(width(model) or 0)
    return (
        family[2] * recipe["rank"]
        if family and set(recipe["targets"]) in (set(), set(LORA_TARGETS))
        else None
    )


def work(base: dict[str, Any], device: str) -> float | None:
    """Work of one pass of a base against the reference of the device: Stable Diffusion 1.5 at 512 pixels, the
    embedded one.
    """
    if device == "cpu":
        small = weights(base["model"])
        return small / 3.93e6 * (base["resolution"] / 32) ** 2 if small and small < 5e7 else None
    family = BASES.get(width(base["model"]) or 0)
    size = (base["resolution"] / 512) ** 2
    if family:
        return family[1] * size
    own = weights(base["model"])
    return own / 859.5e6 * size if own else None


def guided(solver: dict[str, Any]) -> int:
    """Steps of a run that have guidance, and so two rows for each image (`solver.guided_steps`)."""
    low, high = solver.get("guidance_interval", (0, 1))
    first, last = np.sqrt(BETAS)
    clean = np.cumprod(1 - np.linspace(first, last, TIMES) ** 2)
    steps = np.arange(TIMES, 0, -TIMES / solver["steps"])[: solver["steps"]].round().astype(int) - 1
    noise, picture = np.sqrt(1 - clean[steps]), np.sqrt(clean[steps])
    levels = noise / (noise + picture)
    return int(((low <= levels) & (levels <= high)).sum()) if solver["guidance"] > 1 else 0


@cache
def classifier(model: str, args: str, resolution: int) -> tuple[float, float] | None:
    """Weights and FLOPs of a pass of a timm model (counted without computing); None if timm cannot build
    it.
    """
    import timm
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    try:
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            network = timm.create_model(model, pretrained=False, **json.loads(args)).eval()
            network(torch.zeros(1, 3, resolution, resolution))
    except Exception:  # whatever a model's code says to its arguments; the preflight names it
        return None
    return float(sum(x.numel() for x in network.parameters())), float(counter.get_total_flops())


class Reference:
    """Seconds and megabytes of jobs of one data set on one device.

    Args:
        card: a key of PEAK; None if the GPU is not known.
        gpus: of each job; 0 computes on the CPU.
        images: of the whole data set; None if they cannot be counted.
        measured: rates of the machine itself, which stand as they are.
    """

    def __init__(self, card: str | None, gpus: int, images: int | None, measured: Measured | None = None):
        self.device = "gpu" if gpus else "cpu"
        self.rate, self.step = SECONDS[self.device], STEP[self.device]
        self.spread, self.scale = SPREAD[self.device], speed(card, self.device)
        if measured:
            self.rate, self.step = measured.seconds, measured.step
            self.spread = self.scale = (1.0, 1.0)
        self.images = (float(images), float(images)) if images is not None else None

    def seconds(self, rule: str, s: dict[str, Any], drawn: int = 0, adapters: int = 1) -> Amount:
        """Wall-clock seconds of a job with these settings.

        Args:
            rule: of the job.
            s: its settings.
            drawn: images of the synthetic set that it looks at.
            adapters: that it trains in one shared batch, which takes about half the time, or none of it less.
        """
        build: dict[str, Callable[[], Amount]] = {
            "draw": lambda: plus(LIGHT, times(1, DRAWN, self.images)),
            "index": lambda: plus(LIGHT, times(1, INGEST, self.images)),
            "embed": lambda: self.looked_at(self.images),
            "prior": lambda: self.drawing(s, s["count"]),
            "sample": lambda: self.drawing(s, s["per_group"]),
            "adapt": lambda: self.adapting(s),
            "adapt_shared": lambda: times(adapters, self.adapting(s), (0.5, 1.0)),
            "score": lambda: self.looked_at((drawn, drawn)),
            "score_second": lambda: self.looked_at((drawn, drawn)),
            "audit": lambda: self.looked_at(plus((drawn, 2 * drawn), self.images)),
            "pretrain": lambda: self.training(s, (drawn, drawn)),
            "decode": lambda: plus(LIGHT, times(1, READ, self.images)),
            "finetune": lambda: self.training(s, (0.0, 0.0)),  # its images are decoded once for all
        }
        return build.get(rule, lambda: LIGHT)()

    def megabytes(self, rule: str, s: dict[str, Any], adapters: int = 1) -> Amount:
        """Size of what a job writes; of rules that write little, nothing."""
        if rule in ("prior", "sample"):
            count = s["count"] if rule == "prior" else s["per_group"]
            return times(count * s["base"]["resolution"] ** 2 / 1e6, PNG)
        if rule == "decode":
            return times(3 * s["resolution"] ** 2 / 1e6, self.images)
        if rule in ("adapt", "adapt_shared"):
            found = (
                lora_weights(s["base"]["model"], s["recipe"])
                if s["kind"] == "lora"
                else weights(s["base"]["model"])
            )
            return times(adapters * found * 4 / 1e6, (0 if may_borrow(s) else 1, 1.05)) if found else None
        if rule in ("pretrain", "finetune"):
            network = self.network(s)
            return times(network[0] * 4 / 1e6, (1, 1.1)) if network else None
        return 0.0, 0.0

    def looked_at(self, images: Amount) -> Amount:
        """Images read, and through a CLIP."""
        return plus(
            times(self.rate["start"], self.spread),
            times(1, images, READ),
            times(self.rate["clip"], images, self.scale),
        )

    def drawing(self, s: dict[str, Any], count: int) -> Amount:
        """Images of the solver."""
        size, solver = work(s["base"], self.device), s["solver"]
        if size is None:
            return None
        rows = solver["steps"] + guided(solver)
        # two more where the generators turn out to be borrowed
        most = rows + (2 * solver["steps"] if s.get("borrowed_guidance") else 0)
        row, decoded = self.rate["row"] * (0.68 if solver.get("compile") else 1), self.rate["decode"]
        each = plus(times(row, (rows, most)), (decoded, decoded))
        return plus(times(self.rate["start"], self.spread), times(count * size, each, self.scale))

    def adapting(self, s: dict[str, Any]) -> Amount:
        """Steps of an adapter; none for a group that borrows, which only its number of images tells."""
        size = work(s["base"], self.device)
        if s["kind"] == "none":
            return LIGHT
        if size is None:
            return None
        recipe = s["recipe"]
        of_class = recipe["prior_batch"] if recipe["prior_weight"] else 0
        others = len(s.get("companions", []))
        of_others = others * rows_each(recipe["batch"], others) if others else 0
        rows = recipe["steps"] * recipe["accumulate"] * (recipe["batch"] + of_class + of_others)
        slower = (1.4 if recipe["gradient_checkpointing"] else 1) * (1.5 if recipe["text_lr"] else 1)
        found = plus(
            times(self.rate["start"], self.spread),
            times(rows * self.rate[s["kind"]] * size * slower, self.scale),
        )
        return (LIGHT[0], found[1]) if found and may_borrow(s) else found

    def training(self, s: dict[str, Any], images: Amount) -> Amount:
        """Steps of the classifier, and reading its images."""
        found, recipe = self.network(s), s.get("recipe") or {}
        if found is None:
            return None
        rows = (recipe.get("steps", 0) + recipe.get("identify_steps", 0)) * recipe.get("batch", 0)
        each = self.step * found[1] / REFERENCE[self.device]
        return plus(
            times(self.rate["start"], self.spread),
            times(1, images, READ),
            times(rows * each, self.scale),
        )

    def network(self, s: dict[str, Any]) -> tuple[float, float] | None:
        """Weights and work of the classifier."""
        found = s["classifier"]
        return classifier(found["model"], json.dumps(found["args"], sort_keys=True), found["resolution"])


def may_borrow(s: dict[str, Any]) -> bool:
    """Whether the group of an adapter may turn out to have too few images of its own."""
    return s["borrow_below"] > 0 and any(s["donors"].values())
