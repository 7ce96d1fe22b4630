"""The training loop of one adapter on cached latents: LoRA or all UNet weights, with prior preservation.

One step, in order: every set of images gives its rows of the batch (`latents.Loader`); they get noise, and
with it what the denoiser should answer and each row's weight in the loss (`denoising.noised`); the denoiser
answers under the prompts, and the weighted errors are summed (`denoising.row_losses`); the loop
(`training_loop`) scales, clips and averages the gradients over accumulated batches, moves the weights, their
learning rate and their running mean, looks at held-out images when it is time, and writes a checkpoint when
one is due. Prompts and images are encoded once, before the first step.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from fairgen.core import callback, devices, job
from fairgen.core.seeds import seed_of
from fairgen.core.workfolder import Resume
from fairgen.generate import text_adapters
from fairgen.generate.captions import Captions, numbered
from fairgen.generate.denoising import Noised, noised, precision, row_losses
from fairgen.generate.held_out import Levels, Looks, Preview, Unseen
from fairgen.generate.kept import Kept
from fairgen.generate.latents import (
    Companion,
    Latents,
    Loader,
    Priors,
    batch_sizes,
    conditions,
    prompts_beside,
)
from fairgen.generate.recipe import Adapt
from fairgen.generate.training_loop import Task, by_tenths, clip_gradients, fit
from fairgen.models import architectures, base_model, diffusion, lora, text_encoders
from fairgen.models.conditioning import Conditioning
from fairgen.models.parts import Encoders


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
    priors: Priors,
    name: str,
    resume: Resume | None = None,
    encoders: Encoders | None = None,
    origins: np.ndarray | None = None,
    captions: Sequence[str] = (),
    unseen: Unseen | None = None,
    kept: Kept | None = None,
    companions: Sequence[Companion] = (),
) -> tuple[torch.nn.Module, dict[str, Any]]:
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
        unseen: held-out images, if they are to be looked at.
        kept: what earlier trainings of the group in this process have left; this one leaves there what it
            makes. The UNet is then the same one each time.
        companions: images of other groups, which are trained along under their own prompts.

    Returns:
        The trained UNet, and what there is to say of the run: `loss`, the mean of each tenth of it, and the
        `selected_step` where one was chosen.
    """
    # all that stays the same is computed once: prompt states and image latents
    seed, kept = seed_of(settings.seed, name), kept or Kept()
    prompts = [instance[0], *prompts_beside(priors, companions)]
    every, own = numbered(prompts, [captions] if captions else [])
    states = None if encoders else kept.states(base, every)
    process, vae = diffusion.process(base), kept.autoencoder(base)
    process.check(settings)
    job.ready()
    sizes, loss_weight = batch_sizes(settings.recipe, len(priors), len(companions))
    sets = [Latents(vae, instance[1], origins), *kept.latents_beside(vae, priors, companions)]
    loader = Loader(sets, sizes, seed, Captions(own[0], settings.captions) if own else None)
    levels = Levels(process, vae, unseen, settings, name) if unseen else None
    drawing = bool(callback.current.draws_at(settings.recipe.steps)) and not encoders
    shown = kept.states(base, [prompts[0], ""]) if drawing else None
    kept.put_away()  # the autoencoder's memory is the denoiser's from here on
    # the denoiser, prepared for this kind of adapter
    unet, weights = kept.denoiser(settings, base, seed, trainable)
    of_text = text_adapters.trainable(encoders or {}, settings)
    unet.train()
    # the parts of a step, which `fit` calls in their order
    fixed = None if states is None else conditions(states, sizes).to(devices.current())

    def prompted() -> Conditioning:
        with precision(settings):
            return text_encoders.encode(base, encoders or {}, prompts) if states is None else states

    def next_batch() -> Noised:
        drawn, numbers = loader.next_batch()
        batch = noised(process, drawn, loss_weight, settings, loader.generator)
        return replace(batch, text=states[numbers]) if states is not None and own else batch

    def loss(batch: Noised) -> torch.Tensor:
        return row_losses(unet, batch, fixed or conditions(prompted(), sizes), settings).sum()

    # held-out images, and what sample images are drawn with
    looks = Looks(unet, [levels], prompted, settings) if levels else None
    given = (unet, base, settings, prompts[0], encoders or {}, shown, [instance[1]], [unseen])
    callback.current.preview(Preview(*given, nullcontext))
    task = Task(
        name,
        [name],
        weights,
        loader.generator,
        loader.streams,
        next_batch,
        loss,
        clip_gradients,
        looks,
        of_text,
    )
    losses, found = fit(settings, task, resume, kept)
    chosen = {key: value for key, (value,) in found.items()}
    return unet.eval(), {"loss": by_tenths(losses), **chosen}
