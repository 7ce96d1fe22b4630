"""Sampling: fairgen's loop with a fast solver, against StableDiffusionPipeline at 50 PNDM steps.

    python benchmarks/sample.py
    python benchmarks/sample.py --device cuda

Both draw the same prompt with the same guidance, batch and precision; models are loaded before the clock
starts. On the CPU, KID on CLIP features against drawings of the world that the base was pretrained on says
whether the pictures are as good (lower is better; the standard deviation is that of one block). The embedded
base draws with the settings of `birds`; on CUDA, Stable Diffusion 1.5's architecture with those at the top
level, where finetuned generators may do without guidance.
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import common
import numpy as np
import torch
import yaml

from fairgen.core import devices
from fairgen.core.settings import read
from fairgen.embedded import birds, world
from fairgen.evaluate import fidelity
from fairgen.generate.sample import Sample
from fairgen.generate.solver import Solver, sample_images
from fairgen.models import base_model, diffusion, scorer, text_encoders
from fairgen.models.checkpoints import locate
from fairgen.models.parts import DTYPES
from fairgen.workflow import stage_settings as table

PROMPT = "a landbird on land"
BLOCKS = {"blocks": 50, "size": 100, "seed": 0}


def solver(base: base_model.Base) -> Solver:
    """The solver of an untouched base in the config."""
    config = yaml.safe_load((common.PROJECT / "config.yaml").read_text())
    if base.resolution > 32:
        del config["datasets"]["birds"]["settings"]["sample"]
    values = common.given(table.settings(config, "birds", "sample", "vanilla", "landbird-land"))
    return read(Sample, values).solver


def fairgen(base: base_model.Base, images: int, settings: Solver) -> Callable[[], np.ndarray]:
    """Draw with fairgen's loop."""
    text = text_encoders.encode_prompts(base, [PROMPT, settings.negative_prompt])
    unet, vae = diffusion.load_denoiser(base), diffusion.load_vae(base)
    return lambda: np.stack(list(sample_images(unet, vae, base, text, list(range(images)), settings)))


def pipeline(base: base_model.Base, images: int, settings: Solver) -> Callable[[], np.ndarray]:
    """Draw with diffusers' pipeline and its classical solver."""
    from diffusers import PNDMScheduler, StableDiffusionPipeline

    dtype = DTYPES[base.dtype]
    pipe = StableDiffusionPipeline.from_pretrained(locate(base.model), dtype=dtype, safety_checker=None)
    pipe.scheduler = PNDMScheduler.from_config(pipe.scheduler.config, skip_prk_steps=True)
    pipe.to(devices.current()).set_progress_bar_config(disable=True)
    options = {"num_inference_steps": 50, "guidance_scale": settings.guidance, "output_type": "np"}

    def run() -> np.ndarray:
        sizes = [min(settings.batch, images - i) for i in range(0, images, settings.batch)]
        return np.concatenate([pipe(PROMPT, num_images_per_prompt=size, **options).images for size in sizes])

    return lambda: (run() * 255).round().astype(np.uint8)


def drawings(images: int) -> np.ndarray:
    """Landbirds on land of the world's held-out stream."""
    drawn = (world.world(0, i, "held-out") for i in count())
    fitting = (d.pixels for d in drawn if d.species in birds.LANDBIRDS and d.scene in birds.LAND)
    return np.stack([next(fitting) for _ in range(images)])


def quality(drawn: dict[str, np.ndarray]) -> None:
    """Print the kernel distance of each side to held-out drawings."""
    judge = scorer.load("fairgen:embedded/weights/clip", "score.model")
    features = {name: judge.images(pixels) for name, pixels in drawn.items()}
    real = judge.images(drawings(len(next(iter(drawn.values())))))
    for name, own in features.items():
        found = fidelity.kernel_distance(real, own, **BLOCKS)
        print(f"KID of {name}: {found['mean']:.4f} ± {found['sd']:.4f}")


def main() -> None:
    """Print the table."""
    parser = common.parser(__doc__)
    parser.add_argument("--images", type=int, default=200, help="of each side (default: 200)")
    parser.add_argument(
        "--compile", action="store_true", help="also with a compiled denoiser (sample.solver.compile)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = common.base(options.device, options.base or Path(folder))
        settings = solver(base)
        sides = {
            "fairgen": fairgen(base, options.images, settings),
            "pipeline, 50 PNDM steps": pipeline(base, options.images, settings),
        }
        sides["fairgen without guidance"] = fairgen(base, options.images, replace(settings, guidance=1))
        if options.compile:
            sides["fairgen, compiled"] = fairgen(base, options.images, replace(settings, compile=True))
        torch.manual_seed(0)
        costs = common.interleaved(sides, options.repeats)
        title = (
            f"sample: {options.images} images, {settings.scheduler} at {settings.steps} steps, guidance"
            f" {settings.guidance}"
        )
        found = common.show(title, costs, "fairgen")
        if options.device == "cpu":
            quality({name: work() for name, work in sides.items()})
        else:
            print(
                common.on_gpu(options.images, costs["fairgen"], common.flops(sides["fairgen"]), options.peak)
            )
    ratio = found["pipeline, 50 PNDM steps"]
    common.write(
        options.json,
        {"pipeline / fairgen": ratio, "without guidance": ratio / found["fairgen without guidance"]},
    )


if __name__ == "__main__":
    main()
