"""Several LoRA adapters on one base: trained in one shared batch, against one after the other.

    python benchmarks/shared.py
    python benchmarks/shared.py --device cuda

Both sides train the same adapters on the same pictures with the same random streams. `whole` compares the trainings with
loading and encoding, which one after the other repeats for each adapter, as its jobs do; `steps` the training steps alone:
the time of all steps less that of one. Settings are those of `lora` for `birds` in config.yaml; on CUDA, those at the top
level with `--steps` steps. Where one adapter's batch fills the GPU, there is little left to gain: `--batch` says how much
that is.
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import adapt as single
import common
import numpy as np

from fairgen import dreambooth, dreambooth_shared
from fairgen.adapt import Adapt
from fairgen.models import diffusion


def one_by_one(given: Adapt, base: diffusion.Base, clusters: dict[str, np.ndarray]) -> None:
    """Train each adapter alone."""
    for name, pixels in clusters.items():
        dreambooth.train(given, base, (single.TEXT, pixels), [], name)


def shared(given: Adapt, base: diffusion.Base, clusters: dict[str, np.ndarray]) -> None:
    """Train all adapters in one batch."""
    dreambooth_shared.train(given, base, single.TEXT, clusters, [], "benchmark")


def trainings(
    given: Adapt, base: diffusion.Base, clusters: dict[str, np.ndarray]
) -> tuple[dict[str, Callable[[], object]], Callable[[int], object]]:
    """Both sides with all steps and with one, and the shared training with any number of steps."""

    def run(side: Callable[..., None], steps: int) -> None:
        side(replace(given, recipe=replace(given.recipe, steps=steps)), base, clusters)

    every = given.recipe.steps
    sides = {"one by one": one_by_one, "shared": shared}
    found = {name: partial(run, side, every) for name, side in sides.items()}
    return found | {f"{name}, one step": partial(run, side, 1) for name, side in sides.items()}, partial(run, shared)


def main() -> None:
    """Print a table for each number of adapters."""
    parser = common.parser(__doc__)
    parser.add_argument("--steps", type=int, help="training steps (default: the config's)")
    parser.add_argument("--batch", type=int, help="images of a step for each adapter (default: the config's)")
    parser.add_argument("--images", type=int, default=10, help="of each cluster (default: 10)")
    parser.add_argument("--adapters", type=int, nargs="+", default=[2, 4, 8])
    options = parser.parse_args()
    ratios = {}
    with tempfile.TemporaryDirectory() as folder:
        base = common.base(options.device, Path(folder))
        given = single.settings("lora", base, options.steps)
        given = replace(given, recipe=replace(given.recipe, batch=options.batch or given.recipe.batch, prior_weight=0))
        for count in options.adapters:
            pixels = common.pictures("land", count * options.images, base.resolution)
            clusters = {f"benchmark/{i}": part for i, part in enumerate(np.split(pixels, count))}
            sides, run = trainings(given, base, clusters)
            times = common.interleaved(sides, options.repeats)
            title = f"shared: {count} adapters, {given.recipe.steps} steps of batch {given.recipe.batch} for each"
            ratios[f"{count} adapters, whole"] = common.show(title, times, "shared")["one by one"]
            steps = {name: times[name] - times[f"{name}, one step"] for name in ("one by one", "shared")}
            ratios[f"{count} adapters, steps"] = steps["one by one"] / steps["shared"]
            print(f"steps alone: {ratios[f'{count} adapters, steps']:.2f} times as fast")
            if options.device == "cuda":
                drawn = given.recipe.steps * given.recipe.batch * count
                print(common.on_gpu(drawn, times["shared"], common.training_flops(run, given.recipe.steps), options.peak))
    common.write(options.json, ratios)


if __name__ == "__main__":
    main()
