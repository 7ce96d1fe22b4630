"""Sampling: fairgen's loop with a fast solver, against StableDiffusionPipeline at 50 PNDM steps.

    python benchmarks/sample.py
    python benchmarks/sample.py --device cuda
    python benchmarks/sample.py --quality

Both draw the same prompt with the same guidance, batch and precision; models are loaded before the clock
starts. On the CPU, KID on CLIP features against drawings of the world that the base was pretrained on says
whether the pictures are as good (lower is better; the standard deviation is that of one block). The embedded
base draws with the settings of `birds`; on CUDA, Stable Diffusion 1.5's architecture with those at the top
level, where finetuned generators may do without guidance.

`--quality` times nothing: it asks how few steps, and how few of them guided, draw as well. For each solver it
prints rows (calls of the denoiser for one image, two of a guided step) and the kernel distance to held-out
drawings of the same group, in the features of the embedded backbone, which sees looks as CLIP does not. Each
prompt's images are in blocks of 50 with the same seeds in every solver, so that the difference to fairgen's
default, the mean over blocks with its standard error, is one of the solver.
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count, product
from pathlib import Path

import common
import numpy as np
import torch
import yaml

from fairgen.core import devices
from fairgen.core.settings import read
from fairgen.embedded import birds, world
from fairgen.evaluate import audit_features, fidelity
from fairgen.generate.sample import Sample
from fairgen.generate.solver import Solver, guided_steps, sample_images
from fairgen.models import base_model, diffusion, encoder, scorer, text_encoders
from fairgen.models.checkpoints import locate
from fairgen.models.parts import DTYPES
from fairgen.workflow import stage_settings as table

Group = tuple[str, str]  # kind and place
PROMPT = "a landbird on land"
BLOCKS = {"blocks": 50, "size": 100, "seed": 0}
GROUPS = [(kind, place) for kind in birds.KINDS for place in birds.PLACES]
REAL, BLOCK = 500, 50  # held-out drawings of a group, and images of a block
SPACE = encoder.Encoder("timm", "fairgen:embedded/weights/backbone")
PNDM = "pipeline, 50 PNDM steps"
STEPS, WHOLE = (5, 7, 8, 10), (0.0, 1.0)
# with how much more guidance each, for guidance that is given less often may be stronger
INTERVALS = (
    (WHOLE, 1.0),
    ((0.2, 0.85), 1.0),
    ((0.4, 0.8), 1.0),
    ((0.4, 0.8), 2.0),
    ((0.6, 1.0), 1.0),
    ((0.75, 1.0), 1.0),
)


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


def pipeline(
    base: base_model.Base, images: int, settings: Solver, prompt: str = PROMPT
) -> Callable[[], np.ndarray]:
    """Draw with diffusers' pipeline and its classical solver."""
    from diffusers import PNDMScheduler, StableDiffusionPipeline

    dtype = DTYPES[base.dtype]
    pipe = StableDiffusionPipeline.from_pretrained(locate(base.model), dtype=dtype, safety_checker=None)
    pipe.scheduler = PNDMScheduler.from_config(pipe.scheduler.config, skip_prk_steps=True)
    pipe.to(devices.current()).set_progress_bar_config(disable=True)
    options = {"num_inference_steps": 50, "guidance_scale": settings.guidance, "output_type": "np"}

    def run() -> np.ndarray:
        sizes = [min(settings.batch, images - i) for i in range(0, images, settings.batch)]
        return np.concatenate([pipe(prompt, num_images_per_prompt=size, **options).images for size in sizes])

    return lambda: (run() * 255).round().astype(np.uint8)


def drawings(images: int, groups: list[Group]) -> dict[Group, np.ndarray]:
    """So many drawings of each group of the world's held-out stream."""
    found: dict[Group, list[np.ndarray]] = {group: [] for group in groups}
    for i in count():
        if all(len(own) == images for own in found.values()):
            return {group: np.stack(own) for group, own in found.items()}
        drawn = world.world(0, i, "held-out")
        for (kind, place), own in found.items():
            fits = drawn.species in birds.KINDS[kind] and drawn.scene in birds.PLACES[place]
            if fits and len(own) < images:
                own.append(drawn.pixels)
    raise AssertionError


def quality(drawn: dict[str, np.ndarray]) -> None:
    """Print the kernel distance of each side to held-out drawings."""
    judge = scorer.load("fairgen:embedded/weights/clip", "score.model")
    features = {name: judge.images(pixels) for name, pixels in drawn.items()}
    real = judge.images(drawings(len(next(iter(drawn.values()))), GROUPS[:1])[GROUPS[0]])
    for name, own in features.items():
        found = fidelity.kernel_distance(real, own, **BLOCKS)
        print(f"KID of {name}: {found['mean']:.4f} ± {found['sd']:.4f}")


def rows_of(base: base_model.Base, settings: Solver) -> int:
    """Calls of the denoiser for one image."""
    run, _ = (
        diffusion.process(base).sampler(settings.scheduler).begin(settings.steps, torch.zeros(1, 4, 8, 8))
    )
    return sum(1 + guided for guided in guided_steps(run, settings))


def variants(settings: Solver) -> dict[str, Solver]:
    """The solvers that are compared, fairgen's default first."""
    found = {"default": settings, "no guidance": replace(settings, guidance=1)}
    for kind in ("unipc", "dpmsolver++"):
        for (interval, more), steps in product(INTERVALS, STEPS):
            own = replace(settings, scheduler=kind, steps=steps, guidance=more * settings.guidance)
            if interval != WHOLE:
                own = replace(own, guidance_interval=interval)
            shown = "" if interval == WHOLE else f", {own.guidance:g} in {interval[0]:g} to {interval[1]:g}"
            if own != settings:
                found[f"{kind}, {steps} steps{shown}"] = own
    return found


def few_steps(base: base_model.Base, images: int, settings: Solver) -> dict[str, float]:
    """Print the table of `--quality`; returns each solver's distance in parts of the default's."""
    space, by_hand, seeds = encoder.load(SPACE), drawings(REAL + images, GROUPS), list(range(images))
    real = {group: seen_by(space, pixels[:REAL]) for group, pixels in by_hand.items()}
    unet, vae = diffusion.load_denoiser(base), diffusion.load_vae(base)
    prompts = {(kind, place): f"a {kind} on {place}" for kind, place in GROUPS}
    texts = {
        group: text_encoders.encode_prompts(base, [prompt, settings.negative_prompt])
        for group, prompt in prompts.items()
    }

    def drawn(own: Solver, group: Group) -> np.ndarray:
        return np.stack(list(sample_images(unet, vae, base, texts[group], seeds, own)))

    sides = {name: (rows_of(base, own), partial(drawn, own)) for name, own in variants(settings).items()}
    sides[PNDM] = (100, lambda group: pipeline(base, images, settings, prompts[group])())
    sides["other held-out drawings"] = (0, lambda group: by_hand[group][REAL:])
    print(f"{'':<44}{'rows':>6}{'distance':>10}{'sd of a block':>15}{'to the default':>20}", flush=True)
    torch.manual_seed(0)
    found: dict[str, torch.Tensor] = {}
    for name, (rows, draw) in sides.items():
        parts = [(real[group], seen_by(space, draw(group)).split(BLOCK)) for group in GROUPS]
        found[name] = torch.tensor([fidelity.squared_mmd(own, x) for own, blocks in parts for x in blocks])
        apart = found[name] - found["default"]
        print(
            f"{name:<44}{rows:>6}{found[name].mean():>10.4f}{found[name].std():>15.4f}"
            f"{apart.mean():>+11.4f} ± {apart.std() / len(apart) ** 0.5:.4f}",
            flush=True,
        )
    return {name: float(own.mean() / found["default"].mean()) for name, own in found.items()}


def seen_by(space: encoder.Features, pixels: np.ndarray) -> torch.Tensor:
    """Unit features (n, d) of images."""
    return audit_features.unit(
        np.concatenate([space(pixels[i : i + 200]) for i in range(0, len(pixels), 200)])
    )


def main() -> None:
    """Print the table."""
    parser = common.parser(__doc__)
    parser.add_argument(
        "--images", type=int, default=200, help="of each side, for --quality of each group (default: 200)"
    )
    parser.add_argument(
        "--compile", action="store_true", help="also with a compiled denoiser (sample.solver.compile)"
    )
    parser.add_argument(
        "--quality", action="store_true", help="distances of other solvers instead, on the embedded base"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = common.base(options.device, options.base or Path(folder))
        settings = solver(base)
        if options.quality:
            common.write(options.json, few_steps(base, options.images, settings))
            return
        sides = {
            "fairgen": fairgen(base, options.images, settings),
            PNDM: pipeline(base, options.images, settings),
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
    ratio = found[PNDM]
    common.write(
        options.json,
        {"pipeline / fairgen": ratio, "without guidance": ratio / found["fairgen without guidance"]},
    )


if __name__ == "__main__":
    main()
