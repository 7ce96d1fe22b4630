"""Stage `prior`: class images from the base model, for DreamBooth's prior preservation."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from fairgen.core import images, job, parquet
from fairgen.core.progress import counted
from fairgen.core.seeds import seed_of
from fairgen.core.workfolder import Resume
from fairgen.generate import batch_size, resumable
from fairgen.generate.prompts import plain_prompt
from fairgen.generate.solver import Solver, sample_images
from fairgen.models import base_model, diffusion, text_encoders

FIELDS = {"prompt": pa.string(), "seed": pa.int64()}


@dataclass(frozen=True)
class Prior:
    """How many class images, and how they are drawn."""

    count: int
    seed: int
    solver: Solver
    base: base_model.Base
    prompts: dict[str, str]


@dataclass(frozen=True)
class Files(job.Files):
    """What a job reads and writes."""

    group: job.Value
    prior: job.Output


def rows(settings: Prior, group: str, skip: int, notes: dict[str, Any]) -> Iterator[resumable.Row]:
    """Draw the class images of one group, without the first `skip`."""
    base, prompt = settings.base, plain_prompt(settings.prompts[group])
    text = text_encoders.encode_prompts(base, [prompt, settings.solver.negative_prompt])
    seeds = [seed_of("prior", settings.seed, group, i) for i in range(settings.count)]
    unet, vae = diffusion.load_denoiser(base), diffusion.load_vae(base)
    solver = batch_size.settled(settings.solver, notes, unet, vae, base, text, settings.count)
    job.ready()
    drawn = images.encode_all(sample_images(unet, vae, base, text, seeds, solver, skip), solver.batch)
    for content, seed in zip(drawn, seeds[skip:], strict=True):
        yield content, {"prompt": prompt, "seed": seed}


def work(settings: Prior, files: Files) -> None:
    """Write the class images of one group."""
    identity = diffusion.identity(settings.base)
    drawn = resumable.resumed(
        Resume(files.work, {"base": identity}),
        FIELDS,
        lambda skip, notes: rows(settings, files.group, skip, notes),
    )
    told = counted(drawn, settings.count, f"prior {files.group}", "image")
    parquet.write_images(files.prior, told, FIELDS, {"base": identity})


if __name__ == "__main__":
    job.main(work, Prior, Files)
