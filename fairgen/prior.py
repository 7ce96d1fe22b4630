"""Stage `prior`: class images from the base model, for DreamBooth's prior preservation."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from fairgen import images, job, tables
from fairgen.models import diffusion
from fairgen.prompts import plain_prompt
from fairgen.sampling import Solver, draw
from fairgen.seeds import seed_of


@dataclass(frozen=True)
class Prior:
    """How many class images, and how they are drawn."""

    count: int
    seed: int
    solver: Solver
    base: dict[str, Any]
    prompts: dict[str, str]


def work(settings: Prior, paths: SimpleNamespace) -> None:
    """Draw the class images of one group."""
    base, prompt = diffusion.Base(**settings.base), plain_prompt(settings.prompts[paths.group])
    text = diffusion.encode_prompts(base, [prompt, settings.solver.negative_prompt])
    seeds = [seed_of("prior", settings.seed, paths.group, i) for i in range(settings.count)]
    unet, vae = diffusion.load_unet(base), diffusion.load_vae(base)
    job.ready()
    drawn = draw(unet, vae, base, text, seeds, settings.solver)
    rows = ((images.encode_png(x), {"prompt": prompt, "seed": s}) for x, s in zip(drawn, seeds, strict=True))
    fields = {"prompt": pa.string(), "seed": pa.int64()}
    tables.write_images(paths.prior, rows, fields, {"base": diffusion.identity(base)})


if __name__ == "__main__":
    job.main(work, Prior, values=["group"], writes=["prior"])
