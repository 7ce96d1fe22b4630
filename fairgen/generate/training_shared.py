"""Training of several LoRA adapters in one shared batch on one frozen base.

The batch holds one batch of each adapter, drawn from that adapter's own random stream. The sum of the
adapters' losses is trained: it has in each adapter's matrices the gradient of that adapter's loss alone, so
each becomes what it would have become alone, up to rounding. In float16 a step in which the gradients of one
overflow is skipped for all.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from fairgen.core import callback, devices, job
from fairgen.core.batches import Generators
from fairgen.core.seeds import seed_of
from fairgen.core.workfolder import Resume
from fairgen.generate.captions import Captions, numbered
from fairgen.generate.denoising import Noised, noised, row_losses
from fairgen.generate.held_out import Levels, Looks, Preview, Unseen
from fairgen.generate.latents import (
    Companion,
    Latents,
    Loader,
    Priors,
    batch_sizes,
    conditions,
    latents_beside,
    prompts_beside,
)
from fairgen.generate.recipe import Adapt
from fairgen.generate.training import trainable
from fairgen.generate.training_loop import Task, by_tenths, fit
from fairgen.models import base_model, diffusion, stacked_lora, text_encoders
from fairgen.models.conditioning import joined
from fairgen.models.parts import Encoders
from fairgen.models.pipelines import part_of
from fairgen.models.regions import compile_regions


def begin(unet: torch.nn.Module, settings: Adapt, seeds: list[int]) -> dict[str, stacked_lora.StackedLora]:
    """Stacked LoRA layers whose adapters start where each would start alone."""
    layers = []
    for seed in seeds:
        torch.manual_seed(seed)
        trainable(unet, settings)
        layers.append(stacked_lora.take_out(unet))
    return stacked_lora.put_in(unet, layers)


def train(
    settings: Adapt,
    base: base_model.Base,
    prompt: str,
    clusters: dict[str, np.ndarray],
    priors: Priors,
    name: str,
    resume: Resume | None = None,
    origins: Sequence[np.ndarray | None] | None = None,
    captions: Sequence[Sequence[str]] = (),
    unseen: Sequence[Unseen | None] = (),
    companions: Sequence[Companion] = (),
) -> list[tuple[dict[str, torch.Tensor], dict[str, Any]]]:
    """Train the LoRA adapters of several clusters.

    Args:
        settings: the stage's settings.
        base: the base model.
        prompt: with the rare token, the same for all clusters.
        clusters: what each adapter's random stream is derived from, with its images (n, h, w, 3) uint8.
        priors: sets of class images with their prompts, the same for all clusters.
        name: of them all, for messages.
        resume: the work folder with the hashes of the inputs, for a run that can be interrupted.
        origins: for each cluster `images.origin` of its images, for SDXL; None: they are as they were stored.
        captions: for each cluster the prompts of its images by their captions, "" for none; empty if no image
            has one.
        unseen: for each cluster held-out images, if they are to be looked at.
        companions: images of other groups, as `training.train` has them.

    Returns:
        For each cluster its tensors, named as in a LoRA file, and what there is to say of the run, as
        `training.train` has it.
    """
    # prompt states, and each cluster's latents with the class images' common ones
    seeds = [seed_of(settings.seed, cluster) for cluster in clusters]
    every, numbers_of = numbered([prompt, *prompts_beside(priors, companions)], captions)
    prompts = text_encoders.encode_prompts(base, every)
    process, vae = diffusion.process(base), diffusion.load_vae(base)
    process.check(settings)
    job.ready()
    sizes, loss_weight = batch_sizes(settings.recipe, len(priors), len(companions))
    common = latents_beside(vae, priors, companions)
    own = [
        Latents(vae, *given)
        for given in zip(clusters.values(), origins or [None] * len(clusters), strict=True)
    ]
    shown: list[Captions | None] = [Captions(numbers, settings.captions) for numbers in numbers_of]
    loaders = [
        Loader([latents, *common], sizes, seed, words)
        for latents, seed, words in zip(own, seeds, shown or [None] * len(own), strict=True)
    ]
    levels = [
        Levels(process, vae, own_unseen, settings, cluster) if own_unseen else None
        for cluster, own_unseen in zip(clusters, unseen or [None] * len(clusters), strict=True)
    ]
    drawing = callback.current.draws_at(settings.recipe.steps)
    shown_text = text_encoders.encode_prompts(base, [prompt, ""]) if drawing else None
    del vae  # its memory is the denoiser's from here on
    unet = diffusion.load_denoiser(base)
    # one stacked adapter per layer on the frozen base
    layers = begin(unet, settings, seeds)
    if settings.recipe.compile:
        compile_regions(unet)
    unet.train()
    text = joined([conditions(prompts, sizes)] * len(loaders)).to(devices.current())

    def next_batch() -> Noised:
        batches = []
        for loader in loaders:
            drawn, numbers = loader.next_batch()
            batch = noised(process, drawn, loss_weight, settings, loader.generator)
            batches.append(replace(batch, text=prompts[numbers]) if loader.captions else batch)
        return Noised.joined(batches)

    def losses(batch: Noised) -> torch.Tensor:
        return row_losses(unet, batch, text, settings).view(len(loaders), -1).sum(1)

    # held-out images, and what sample images are drawn with
    alone = partial(stacked_lora.alone, layers)
    looks = Looks(unet, levels, lambda: prompts, settings, alone) if any(levels) else None
    others = unseen or [None] * len(clusters)
    given = (unet, base, settings, prompt, Encoders(), shown_text, list(clusters.values()), others)
    callback.current.preview(Preview(*given, alone))
    # every cluster keeps its own random stream
    weights = [weight for layer in layers.values() for weight in (layer.down, layer.up)]
    streams = [stream for loader in loaders for stream in loader.streams]
    chance = Generators([loader.generator for loader in loaders])
    clip = stacked_lora.clip_gradients
    task = Task(name, list(clusters), weights, chance, streams, next_batch, losses, clip, looks)
    values, found = fit(settings, task, resume)
    states = stacked_lora.states(layers, part_of(unet))
    about = [
        {"loss": by_tenths(own), **{key: steps[number] for key, steps in found.items()}}
        for number, own in enumerate(np.array(values).T)
    ]
    return list(zip(states, about, strict=True))
