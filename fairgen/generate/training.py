"""The training loop of one adapter on cached latents: LoRA or all UNet weights, with prior preservation.

One step, in order: every set of images gives its rows of the batch (`latents.Loader`); they get noise, and
with it what the denoiser should answer and each row's weight in the loss (`denoising.noised`); the denoiser
answers under the prompts, and the weighted errors are summed (`denoising.row_losses`); `gradients` scales,
clips and averages over accumulated batches; `fit` moves the weights, their learning rate and their running
mean, and writes a checkpoint when one is due. Prompts and images are encoded once, before the first step.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from fairgen.core import devices, job
from fairgen.core.batches import Batches, Generators
from fairgen.core.checkpoint import TrainingState
from fairgen.core.errors import FairgenError
from fairgen.core.progress import counted
from fairgen.core.seeds import seed_of
from fairgen.core.workfolder import Resume
from fairgen.generate import cuda_graphs, text_adapters
from fairgen.generate.captions import Captions, numbered
from fairgen.generate.denoising import Noised, noised, precision, row_losses
from fairgen.generate.latents import Latents, Loader, batch_sizes, conditions
from fairgen.generate.optimization import RunningMean, adamw, lr_schedule
from fairgen.generate.recipe import Adapt, Recipe
from fairgen.models import architectures, base_model, diffusion, lora, text_encoders
from fairgen.models.conditioning import Conditioning
from fairgen.models.parts import Encoders

# keeps gradients that pass through float16 above its smallest numbers (arXiv 1710.03740, section 3.2)
LOSS_SCALE = 1024.0


def trainable(unet: torch.nn.Module, settings: Adapt) -> list[torch.nn.Parameter]:
    """Prepare the UNet for training and list its float32 trainable weights."""
    if settings.kind == "lora":
        recipe = settings.recipe
        targets = recipe.targets or architectures.of_denoiser(unet).lora_targets(unet.config)
        lora.inject_lora(unet, recipe.rank, recipe.alpha, recipe.dora, targets)
        lora.mixed_precision(unet)
    else:
        unet.float().requires_grad_(True)
    weights = [p for p in unet.parameters() if p.requires_grad]
    if settings.recipe.gradient_checkpointing:
        unet.enable_gradient_checkpointing()
    return weights


def train(
    settings: Adapt,
    base: base_model.Base,
    instance: tuple[str, np.ndarray],
    priors: list[tuple[str, np.ndarray]],
    name: str,
    resume: Resume | None = None,
    encoders: Encoders | None = None,
    origins: np.ndarray | None = None,
    captions: Sequence[str] = (),
) -> tuple[torch.nn.Module, list[float]]:
    """Train one adapter.

    Args:
        settings: the stage's settings.
        base: the base model.
        instance: the prompt with the rare token, and the cluster's images (n, h, w, 3) uint8.
        priors: sets of class images with their prompts, for prior preservation; they share its weight and
            batch.
        name: what the random stream is derived from.
        resume: the work folder with the hashes of the inputs, for a run that can be interrupted.
        encoders: text encoders that are trained too, in place.
        origins: `images.origin` of each of the cluster's images, for SDXL; None: they are as they were
            stored. Class images always are, for the base has drawn them at this size.
        captions: the prompt of each of the cluster's images by its caption, "" for none; empty if no image
            has one.

    Returns:
        The trained UNet and the mean loss of each tenth of the run.
    """
    # all that stays the same is computed once: prompt states and image latents
    seed = seed_of(settings.seed, name)
    prompts = [prompt for prompt, _ in (instance, *priors)]
    every, own = numbered(prompts, [captions] if captions else [])
    states = None if encoders else text_encoders.encode_prompts(base, every)
    process, vae = diffusion.process(base), diffusion.load_vae(base)
    process.check(settings)
    job.ready()
    sizes, loss_weight = batch_sizes(settings.recipe, len(priors))
    sets = [Latents(vae, instance[1], origins), *(Latents(vae, pixels) for _, pixels in priors)]
    loader = Loader(sets, sizes, seed, Captions(own[0], settings.captions) if own else None)
    del vae  # its memory is the denoiser's from here on
    # the denoiser, prepared for this kind of adapter
    unet = diffusion.load_denoiser(base, torch.float32 if settings.kind == "full" else None)
    torch.manual_seed(seed)
    weights, of_text = trainable(unet, settings), text_adapters.trainable(encoders or {}, settings)
    unet.train()
    # the parts of a step, which `fit` calls in their order
    fixed = None if states is None else conditions(states, sizes)

    def text() -> Conditioning:
        with precision(settings):
            return conditions(text_encoders.encode(base, encoders or {}, prompts), sizes)

    def next_batch() -> Noised:
        drawn, numbers = loader.next_batch()
        batch = noised(process, drawn, loss_weight, settings, loader.generator)
        return replace(batch, text=states[numbers]) if states is not None and own else batch

    def loss(batch: Noised) -> torch.Tensor:
        return row_losses(unet, batch, fixed or text(), settings).sum()

    losses = fit(
        settings,
        name,
        weights,
        loader.generator,
        loader.streams,
        next_batch,
        loss,
        clip_gradients,
        resume,
        of_text,
    )
    return unet.eval(), by_tenths(losses)


def clip_gradients(weights: list[torch.nn.Parameter]) -> None:
    """Scale the gradients of one adapter down to norm 1."""
    torch.nn.utils.clip_grad_norm_(weights, 1.0)


def gradients(
    weights: list[torch.nn.Parameter],
    losses: Callable[[Noised], torch.Tensor],
    clip: Callable[[list[torch.nn.Parameter]], None],
    scale: float,
) -> cuda_graphs.Step:
    """What a step computes before its update: fresh, clipped gradients of the mean loss of its batches, and
    that loss.
    """

    def step(batches: Sequence[Noised]) -> torch.Tensor:
        total = torch.zeros((), dtype=torch.float64, device=devices.current())
        for weight in weights:
            weight.grad = None
        for batch in batches:
            loss = losses(batch) / len(batches)
            (loss.sum() * scale).backward()
            total = total + loss.detach()
        if scale != 1:
            torch._foreach_div_([w.grad for w in weights if w.grad is not None], scale)
        clip(weights)
        return total

    return step


def recordable(recipe: Recipe) -> bool:
    """Whether a step can be a CUDA graph.

    Text encoders read their prompts from the CPU, gradient checkpointing its random state, and 8-bit Adam
    (bitsandbytes) works on the default stream, where nothing can be recorded.
    """
    return not (recipe.text_lr or recipe.gradient_checkpointing) and recipe.optimizer == "adamw"


def fit(
    settings: Adapt,
    name: str,
    weights: list[torch.nn.Parameter],
    generator: torch.Generator | Generators,
    streams: list[Batches],
    next_batch: Callable[[], Noised],
    losses: Callable[[Noised], torch.Tensor],
    clip: Callable[[list[torch.nn.Parameter]], None],
    resume: Resume | None = None,
    text: Sequence[torch.nn.Parameter] = (),
) -> list[Any]:
    """Train weights as the recipe says.

    Args:
        settings: the stage's settings.
        name: what is trained, for messages.
        weights: float32, in place; at the end the running mean takes their place, if the recipe has one.
        generator: where the batches' chance comes from.
        streams: row numbers of the batches.
        next_batch: the next batch, already noised.
        losses: its loss, a number or one for each adapter (then their sum is trained).
        clip: what is done to the gradients of a step.
        resume: the work folder with the hashes of the inputs, for a run that can be interrupted.
        text: weights of text encoders, trained in the same way at a learning rate of their own.

    Returns:
        What `losses` gave in each step: its mean over the step's batches.
    """
    # state: weights, optimizer, schedule and running mean, from a checkpoint where there is one
    recipe, scale = settings.recipe, LOSS_SCALE if settings.base.dtype == "float16" else 1.0
    optimizer = adamw(weights, settings, text)
    weights = [*weights, *text]
    schedule_lr, mean = lr_schedule(optimizer, recipe), RunningMean(weights, recipe.ema)
    training = TrainingState(
        {"weights": weights, "mean": mean.mean}, optimizer, schedule_lr, generator, streams
    )
    if resume:
        training.resume(resume)
    # on a GPU a step is one CUDA graph where it can be recorded
    step = gradients(weights, losses, clip, scale)
    stream: AbstractContextManager[None] = nullcontext()
    if devices.current().type == "cuda" and recordable(recipe):
        step, stream = cuda_graphs.Replayed(step), cuda_graphs.own_stream()
    # the loop, which waits for the device once a step
    steps = range(training.step, recipe.steps)
    with stream:
        for _ in counted(steps, recipe.steps, f"adapt {name}", done=training.step):
            loss = step([next_batch() for _ in range(recipe.accumulate)])
            optimizer.step()
            schedule_lr.step()
            mean.update(training.step + 1)
            loss_values = loss.cpu()  # the only wait for the GPU in a step
            if not torch.isfinite(loss_values).all():
                raise FairgenError(f"adapt {name}: the loss is not finite; lower adapt.{settings.kind}.lr")
            training.step += 1
            training.losses.append(loss_values.tolist())
            if resume:
                training.save(resume.work)
        mean.install()
    return training.losses


def by_tenths(losses: list[float]) -> list[float]:
    """The mean loss of each tenth of a run."""
    return [float(np.mean(part)) for part in np.array_split(losses, 10) if len(part)]
