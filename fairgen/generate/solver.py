"""The sampling loop: latents from per-image seeds through a fast solver with classifier-free guidance, then
pixels.
"""

import copy
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from fairgen.core import job
from fairgen.core.errors import FairgenError
from fairgen.models import autoencoder, base_model, diffusion, eight_bits
from fairgen.models.conditioning import Conditioning, joined
from fairgen.models.process import Sampler
from fairgen.models.regions import compile_regions


@dataclass(frozen=True)
class Solver:
    """How images are drawn."""

    scheduler: str  # dpmsolver++ | unipc | euler, of bases of flow matching
    steps: int
    guidance: float  # 1 or less: no guidance, half the work
    negative_prompt: str
    batch: int  # images at once; 0: as many as fit (`batch_size`)
    compile: bool = False  # the denoiser's blocks (torch.compile), for batches of one size
    # levels of noise (`Sampler.levels`), both included, between which there is guidance (arXiv 2404.07724)
    guidance_interval: tuple[float, float] = (0, 1)


@dataclass(frozen=True)
class Composed:
    """What a borrowed generator's answers are composed with (arXiv 2206.01714): the step that another
    denoiser takes from the second row of its text to the first, so many times.
    """

    unet: torch.nn.Module
    text: Conditioning
    weight: float

    def answers(self, count: int) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        """What is added, at each step, to the answer to so many noisy latents (n, c, h, w)."""
        rows = joined([self.text[i : i + 1].expand(count) for i in range(2)])

        def answer(noisy: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
            wanted, unwanted = diffusion.predict(self.unet, torch.cat([noisy, noisy]), step, rows).chunk(2)
            return self.weight * (wanted - unwanted)

        return answer

    def exact(self) -> "Composed":
        """The same in float32."""
        return dataclasses.replace(self, unet=exact(self.unet))


def initial_noise(unet: torch.nn.Module, base: base_model.Base, seeds: list[int], scale: int) -> torch.Tensor:
    """One standard normal latent per seed, so that an image does not depend on its batch."""
    side = base.resolution // scale
    shape = (unet.config.in_channels, side, side)
    return torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


def guided_steps(run: Sampler, solver: Solver) -> list[bool]:
    """Which steps of a run have guidance, and so twice the work.

    Raises:
        FairgenError: there is guidance, and its interval lies between the steps or beyond them.
    """
    (low, high), levels = solver.guidance_interval, run.levels()
    found = [solver.guidance > 1 and low <= level <= high for level in levels]
    if solver.guidance > 1 and not any(found):
        raise FairgenError(
            f"solver.guidance_interval: [{low:g}, {high:g}] has none of the {len(levels)} steps in it, which"
            f" go from {max(levels):.3g} to {min(levels):.3g}; widen it, or set guidance: 1 for none"
        )
    return found


@torch.inference_mode()
def denoise(
    unet: torch.nn.Module,
    sampler: Sampler,
    noise: torch.Tensor,
    text: Conditioning,
    solver: Solver,
    composed: Composed | None = None,
) -> torch.Tensor:
    """Run the solver from noise; `text` has a row for the prompt and one for the negative prompt."""
    count, (run, latents) = len(noise), sampler.begin(solver.steps, noise.to(unet.device))
    dtype, prompt = eight_bits.dtype_of(unet), text[:1].expand(count)
    both = joined([prompt, text[1:].expand(count)]) if solver.guidance > 1 else prompt
    added = composed.answers(count) if composed else None
    for step, guided in zip(run.steps, guided_steps(run, solver), strict=True):
        model_input = run.scaled(torch.cat([latents, latents]) if guided else latents, step)
        model_input = model_input.to(dtype, memory_format=diffusion.sampling_layout(unet))
        predicted = diffusion.predict(unet, model_input, step, both if guided else prompt)
        if guided:
            wanted, unwanted = predicted.chunk(2)
            predicted = unwanted + solver.guidance * (wanted - unwanted)
        if added:
            predicted = predicted + added(model_input[:count], step)
        latents = run.step(predicted, step, latents)
    return latents


def render(
    unet: torch.nn.Module,
    vae: torch.nn.Module,
    base: base_model.Base,
    sampler: Sampler,
    text: Conditioning,
    seeds: list[int],
    solver: Solver,
    composed: Composed | None = None,
) -> np.ndarray:
    """One batch of images (n, h, w, 3) uint8; a compiled denoiser gets the last seed again and again up to a
    full batch.
    """
    padded = seeds + seeds[-1:] * (solver.batch - len(seeds) if solver.compile else 0)
    noise = initial_noise(unet, base, padded, autoencoder.scale(vae))
    latents = denoise(unet, sampler, noise, text, solver, composed)
    return autoencoder.decode(vae, latents[: len(seeds)])


def exact(network: torch.nn.Module) -> torch.nn.Module:
    """A copy in float32. Calls of its own that a layer has, for a dtype, are those of the layer that it was
    copied from, and go.
    """
    found = copy.deepcopy(network).float()
    for module in found.modules():
        vars(module).pop("forward", None)
    return found


def rendered_exactly(
    draw: Callable[..., np.ndarray],
    unet: torch.nn.Module,
    vae: torch.nn.Module,
    composed: Composed | None,
    seeds: list[int],
    dtype: str,
) -> np.ndarray:
    """Images by copies in float32, one by one, since they take twice the memory; the copies go when this
    returns. `draw` is `render` with all that no copy is made of, `dtype` what they were not finite in.

    Raises:
        FairgenError: the GPU's memory is too small for them.
    """
    try:
        whole, beside = (exact(unet), exact(vae)), composed and composed.exact()
        parts = [draw(*whole, seeds=[seed], composed=beside) for seed in seeds]
    except torch.cuda.OutOfMemoryError as error:
        raise FairgenError(
            f"{len(seeds)} images are constant or not finite in {dtype}, and to draw them in float32 the"
            " GPU's memory is too small; set diffusion.dtype: bfloat16, or take a larger GPU"
        ) from error
    return np.concatenate(parts)


def constant(pixels: np.ndarray) -> np.ndarray:
    """Which images (n, h, w, 3) are of one colour: those that are not finite, and what a broken model
    draws.
    """
    flat = pixels.reshape(len(pixels), -1)
    return flat.min(1) == flat.max(1)


def sample_images(
    unet: torch.nn.Module,
    vae: torch.nn.Module,
    base: base_model.Base,
    text: Conditioning,
    seeds: list[int],
    solver: Solver,
    skip: int = 0,
    composed: Composed | None = None,
) -> Iterator[np.ndarray]:
    """Yield one (h, w, 3) uint8 image per seed, without the first `skip`; batches are the same with and
    without them.

    Images that are not finite, or constant, are drawn once more in float32.

    Raises:
        FairgenError: an image is not finite, or constant, even so.
    """
    if skip >= len(seeds):
        return
    sampler = diffusion.process(base).sampler(solver.scheduler)
    for network in (unet, *([composed.unet] if composed else [])):
        network.to(memory_format=diffusion.sampling_layout(network))
        if solver.compile:
            compile_regions(network)
    for i in range(skip - skip % solver.batch, len(seeds), solver.batch):
        batch = seeds[i : i + solver.batch]
        pixels = render(unet, vae, base, sampler, text, batch, solver, composed)
        bad = np.flatnonzero(constant(pixels))
        if len(bad) and base.dtype != "float32":
            job.log.warning(
                "%d images are constant or not finite in %s; drawn again in float32", len(bad), base.dtype
            )
            again = [batch[row] for row in bad]
            plain = dataclasses.replace(solver, compile=False)
            draw = partial(render, base=base, sampler=sampler, text=text, solver=plain)
            pixels[bad] = rendered_exactly(draw, unet, vae, composed, again, base.dtype)
            bad = bad[constant(pixels[bad])]
        if len(bad):
            raise FairgenError(
                f"the image of seed {batch[bad[0]]} is not finite or of one colour, in float32 too; check"
                " diffusion.model and the learning rate of its adapter"
            )
        yield from pixels[max(0, skip - i) :]
