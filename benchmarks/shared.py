"""Several LoRA adapters on one base: in one shared batch, or in one process, against one after the other.

    python benchmarks/shared.py
    python benchmarks/shared.py --device cuda

All sides train the same adapters on the same pictures with the same random streams. `whole` compares the
trainings with loading and encoding, which one after the other repeats for each adapter, as its jobs do
(`adapt.process: cluster`), and one process does once (`group`; starting Python and its imports, which it also
saves, are not in these numbers);
`steps` the training steps alone: the time of all steps less that of one. Settings are those of `lora` for
`birds` in config.yaml; on CUDA, those at the top level with `--steps` steps. Where one adapter's batch fills
the GPU, there is little left to gain: `--batch` says how much that is.
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import adapt as single
import common
import numpy as np

from fairgen.generate import training, training_shared
from fairgen.generate.kept import Kept
from fairgen.generate.recipe import Adapt
from fairgen.models import base_model

PLAIN = ["to_q", "to_k", "to_v", "to_out.0"]  # a shared batch adapts linear layers only


def sides(
    given: Adapt, base: base_model.Base, clusters: dict[str, np.ndarray]
) -> dict[str, Callable[[int], object]]:
    """The sides, with a number of steps."""

    def one_by_one(steps: int) -> None:
        for name, pixels in clusters.items():
            training.train(single.short(given, steps), base, (single.TEXT, pixels), [], name)

    def one_process(steps: int) -> None:
        kept = Kept()
        for name, pixels in clusters.items():
            training.train(single.short(given, steps), base, (single.TEXT, pixels), [], name, kept=kept)

    def shared(steps: int) -> None:
        training_shared.train(single.short(given, steps), base, single.TEXT, clusters, [], "benchmark")

    return {"one by one": one_by_one, "one process": one_process, "shared": shared}


def main() -> None:
    """Print a table for each number of adapters."""
    parser = common.parser(__doc__)
    parser.add_argument("--steps", type=int, help="training steps (default: the config's)")
    parser.add_argument("--batch", type=int, help="images of a step for each adapter (default: the config's)")
    parser.add_argument("--compiled", action="store_true", help="compile the denoiser's blocks")
    parser.add_argument("--images", type=int, default=10, help="of each cluster (default: 10)")
    parser.add_argument("--adapters", type=int, nargs="+", default=[2, 4, 8])
    options = parser.parse_args()
    ratios = {}
    with tempfile.TemporaryDirectory() as folder:
        base = common.base(options.device, options.base or Path(folder))
        given = single.settings("lora", base, options.steps)
        plain = {"prior_weight": 0, "text_lr": 0, "targets": PLAIN, "compile": options.compiled}
        plain["batch"] = options.batch or given.recipe.batch
        given = replace(given, recipe=replace(given.recipe, **plain))
        for count in options.adapters:
            pixels = common.pictures("land", count * options.images, base.resolution)
            clusters = {f"benchmark/{i}": part for i, part in enumerate(np.split(pixels, count))}
            compared = sides(given, base, clusters)
            whole, steps = common.trainings(compared, given.recipe.steps, options.repeats)
            title = (
                f"shared: {count} adapters, {given.recipe.steps} steps of batch {given.recipe.batch} for each"
            )
            ratios[f"{count} adapters, whole"] = common.show(title, whole, "shared")["one by one"]
            ratios[f"{count} adapters, steps"] = common.show(
                f"{count} adapters: the steps alone", steps, "shared"
            )["one by one"]
            if options.device == "cuda":
                drawn = (given.recipe.steps - 1) * given.recipe.batch * count
                counted = common.step_flops(compared["shared"]) * (given.recipe.steps - 1)
                print(common.on_gpu(drawn, steps["shared"], counted, options.peak))
    common.write(options.json, ratios)


if __name__ == "__main__":
    main()
