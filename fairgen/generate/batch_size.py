"""How many images are drawn at once where the config leaves it to the device (`batch: auto`)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from fairgen.core import job
from fairgen.generate.solver import Solver, denoise, initial_noise
from fairgen.models import autoencoder, base_model, diffusion
from fairgen.models.conditioning import Conditioning

ON_CPU = 8
MOST = 64  # images; with guidance 128 rows, many times what keeps a card busy
SHARE = 0.8  # of the free memory that a batch may take, for other jobs and scattered blocks
FEW, MORE = 1, 3  # images whose memory is compared


def fitting(each: int, free: int, count: int) -> int:
    """How many of `count` images fit into free bytes at so many bytes each, in batches of one size or nearly
    so.
    """
    most = max(1, min(MOST, int(SHARE * free / max(1, each))))
    return -(-count // -(-count // most))


def peak(work: Callable[[], object]) -> int:
    """Bytes that are held at once while something is computed on the GPU."""
    torch.cuda.reset_peak_memory_stats()
    work()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated()


def measured(
    unet: torch.nn.Module,
    vae: torch.nn.Module,
    base: base_model.Base,
    text: Conditioning,
    solver: Solver,
    count: int,
) -> int:
    """As many images as fit: on a GPU by what a guided step takes more for a few images than for one."""
    if unet.device.type == "cpu":
        return min(ON_CPU, count)
    step, sampler = replace(solver, steps=1), diffusion.process(base).sampler(solver.scheduler)

    def taken(images: int) -> int:
        noise = initial_noise(unet, base, list(range(images)), autoencoder.scale(vae))
        return peak(lambda: denoise(unet, sampler, noise, text, replace(step, guidance_interval=(0, 1))))

    taken(FEW)  # loads kernels and their work space
    each = (taken(MORE) - taken(FEW)) // (MORE - FEW)
    free = torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
    return fitting(each, free, count)


def settled(
    solver: Solver,
    notes: dict[str, Any],
    unet: torch.nn.Module,
    vae: torch.nn.Module,
    base: base_model.Base,
    text: Conditioning,
    count: int,
) -> Solver:
    """The solver with the size of its batches; `notes` keep a measured one for the job that goes on with the
    rest of at most `count` images of one generator.
    """
    if solver.batch:
        return solver
    if "batch" not in notes:
        notes["batch"] = measured(unet, vae, base, text, solver, count)
        job.log.info("draws %d images at once", notes["batch"])
    return replace(solver, batch=notes["batch"])
