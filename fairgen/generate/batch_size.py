"""How many images are drawn at once where the config leaves it to the device (`batch: auto`)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from fairgen.core import job
from fairgen.generate.solver import Composed, Solver, denoise, initial_noise
from fairgen.models import autoencoder, base_model, diffusion
from fairgen.models.conditioning import Conditioning

ON_CPU = 8
MOST = 64  # images; with guidance 128 rows, many times what keeps a card busy
SHARE = 0.8  # of the free memory that a batch may take, for other jobs and scattered blocks
FEW, MORE = 1, 3  # images whose memory is compared


def fitting(each: int, free: int, count: int, decoded: int = 0, at_once: int = 1) -> int:
    """How many of `count` images fit into free bytes at so many bytes each, in batches of one size or nearly
    so; the autoencoder then takes `decoded` bytes for each of up to `at_once` of them.
    """
    room = SHARE * free
    most = min(MOST, room / max(1, each))
    if decoded * at_once > room:
        most = min(most, room / decoded)
    most = max(1, int(most))
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
    composed: Composed | None = None,
) -> int:
    """As many images as fit: on a GPU by what a guided step, and the autoencoder after the last one, take
    more for a few images than for one; 1 where a few do not fit.
    """
    if unet.device.type == "cpu":
        return min(ON_CPU, count)
    step, sampler = replace(solver, steps=1), diffusion.process(base).sampler(solver.scheduler)

    def noise(images: int) -> torch.Tensor:
        return initial_noise(unet, base, list(range(images)), autoencoder.scale(vae))

    def taken(images: int) -> int:
        given = noise(images), text, replace(step, guidance_interval=(0, 1))
        return peak(lambda: denoise(unet, sampler, *given, composed))

    def decoding(images: int) -> int:
        latents = noise(images).to(unet.device)
        return peak(lambda: autoencoder.decode(vae, latents))

    try:
        taken(FEW), decoding(FEW)  # load kernels and their work space
        each = (taken(MORE) - taken(FEW)) // (MORE - FEW)
        decoded = decoding(FEW + 1) - decoding(FEW)
    except torch.OutOfMemoryError:
        return 1
    free = torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
    return fitting(each, free, count, decoded, autoencoder.at_once(base.resolution))


def settled(
    solver: Solver,
    notes: dict[str, Any],
    unet: torch.nn.Module,
    vae: torch.nn.Module,
    base: base_model.Base,
    text: Conditioning,
    count: int,
    composed: Composed | None = None,
) -> Solver:
    """The solver with the size of its batches; `notes` keep a measured one for the job that goes on with the
    rest of at most `count` images of one generator.
    """
    if solver.batch:
        return solver
    if "batch" not in notes:
        notes["batch"] = measured(unet, vae, base, text, solver, count, composed)
        job.log.info("draws %d images at once", notes["batch"])
    return replace(solver, batch=notes["batch"])
