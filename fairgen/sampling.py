"""The sampling loop: latents from per-image seeds through a fast solver with classifier-free guidance, then pixels."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from fairgen.errors import FairgenError
from fairgen.models import diffusion


@dataclass(frozen=True)
class Solver:
    """How images are drawn."""

    scheduler: str  # dpmsolver++ | unipc
    steps: int
    guidance: float  # 1 or less: no guidance, half the work
    negative_prompt: str
    batch: int


def initial_noise(unet: torch.nn.Module, base: diffusion.Base, seeds: list[int], scale: int) -> torch.Tensor:
    """One standard normal latent per seed, so that an image does not depend on its batch."""
    side = base.resolution // scale
    shape = (unet.config.in_channels, side, side)
    return torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


@torch.inference_mode()
def denoise(
    unet: torch.nn.Module, scheduler: object, latents: torch.Tensor, text: diffusion.Conditioning, solver: Solver
) -> torch.Tensor:
    """Run the solver from noise; `text` has a row for the prompt and one for the negative prompt."""
    scheduler = copy.deepcopy(scheduler)
    scheduler.set_timesteps(solver.steps, device=unet.device)
    latents, count = latents.to(unet.device) * scheduler.init_noise_sigma, len(latents)
    guided = solver.guidance > 1
    rows = text[:1].expand(count)
    if guided:
        rows = diffusion.joined([rows, text[1:].expand(count)])
    for step in scheduler.timesteps:
        model_input = scheduler.scale_model_input(torch.cat([latents, latents]) if guided else latents, step)
        model_input = model_input.to(unet.dtype, memory_format=torch.channels_last)
        predicted = diffusion.predict(unet, model_input, step, rows)
        if guided:
            wanted, unwanted = predicted.chunk(2)
            predicted = unwanted + solver.guidance * (wanted - unwanted)
        latents = scheduler.step(predicted, step, latents).prev_sample
    return latents


def draw(
    unet: torch.nn.Module,
    vae: torch.nn.Module,
    base: diffusion.Base,
    text: diffusion.Conditioning,
    seeds: list[int],
    solver: Solver,
    skip: int = 0,
) -> Iterator[np.ndarray]:
    """Yield one (h, w, 3) uint8 image per seed, without the first `skip`; batches are the same with and without them.

    Raises:
        FairgenError: a batch is not finite, or an image is constant.
    """
    scheduler = diffusion.sampler(base, solver.scheduler)
    scale = 2 ** (len(vae.config.block_out_channels) - 1)
    for i in range(skip - skip % solver.batch, len(seeds), solver.batch):
        noise = initial_noise(unet, base, seeds[i : i + solver.batch], scale)
        try:
            pixels = diffusion.decode_latents(vae, denoise(unet, scheduler, noise, text, solver))
        except FloatingPointError as error:
            raise FairgenError(f"base.dtype = {base.dtype}: {error}; use bfloat16 or float32") from error
        for seed, image in list(zip(seeds[i : i + solver.batch], pixels, strict=True))[max(0, skip - i) :]:
            if image.min() == image.max():
                raise FairgenError(f"the image of seed {seed} is one constant colour; check the base model and base.dtype")
            yield image
