"""The loop that moves the weights of one adapter or of several, whatever they are: gradients, updates, looks
at held-out images, checkpoints.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fairgen.core import callback, devices, job
from fairgen.core.batches import Batches, Generators
from fairgen.core.checkpoint import TrainingState
from fairgen.core.errors import FairgenError
from fairgen.core.progress import counted
from fairgen.core.workfolder import Resume
from fairgen.generate import cuda_graphs
from fairgen.generate.denoising import Noised
from fairgen.generate.held_out import LEVELS, Choice, Looks, looking_steps, relative
from fairgen.generate.kept import Kept
from fairgen.generate.optimization import RunningMean, adamw, lr_schedule
from fairgen.generate.prefetch import Prefetch
from fairgen.generate.recipe import Adapt, Recipe

# keeps gradients that pass through float16 above its smallest numbers (arXiv 1710.03740, section 3.2)
LOSS_SCALE = 1024.0
MOST_SKIPPED = 10  # steps in a row whose gradients overflow in float16, as a large loss scale would skip them


@dataclass(frozen=True)
class Task:
    """What is trained, and on what.

    `runs` names the adapters. `weights` are float32 and change in place, `text` are those of text encoders,
    trained in the same way at a learning rate of their own. `generator` is where the chance of the batches
    comes from, `streams` their row numbers. `next_batch` gives a batch, already noised, and `losses` its
    loss: a number, or one for each adapter (then their sum is trained). `clip` scales the gradients of a step
    and gives their norms before that. `looks` are at held-out images, if they are wanted.
    """

    name: str
    runs: Sequence[str]
    weights: list[torch.nn.Parameter]
    generator: torch.Generator | Generators
    streams: list[Batches]
    next_batch: Callable[[], Noised]
    losses: Callable[[Noised], torch.Tensor]
    clip: Callable[[list[torch.nn.Parameter]], torch.Tensor]
    looks: Looks | None = None
    text: Sequence[torch.nn.Parameter] = ()


def clip_gradients(weights: list[torch.nn.Parameter]) -> torch.Tensor:
    """Scale the gradients of one adapter down to norm 1; the norm before that."""
    return torch.nn.utils.clip_grad_norm_(weights, 1.0)


def gradients(weights: list[torch.nn.Parameter], task: Task, scale: float) -> cuda_graphs.Step:
    """What a step computes before its update: fresh, clipped gradients of the mean loss of its batches. It
    gives that loss and the gradients' norm (2,), or those of each adapter (2, adapters).
    """

    def step(batches: Sequence[Noised]) -> torch.Tensor:
        total = torch.zeros((), dtype=torch.float64, device=devices.current())
        for weight in weights:
            weight.grad = None
        for batch in batches:
            loss = task.losses(batch) / len(batches)
            (loss.sum() * scale).backward()
            total = total + loss.detach()
        if scale != 1:
            torch._foreach_div_([w.grad for w in weights if w.grad is not None], scale)
        return torch.stack([total, task.clip(weights).to(total)])

    return step


def recordable(recipe: Recipe) -> bool:
    """Whether a step can be a CUDA graph.

    Text encoders read their prompts from the CPU, gradient checkpointing its random state, and 8-bit Adam
    (bitsandbytes) works on the default stream, where nothing can be recorded.
    """
    return not (recipe.text_lr or recipe.gradient_checkpointing) and recipe.optimizer == "adamw"


def fit(
    settings: Adapt, task: Task, resume: Resume | None = None, kept: Kept | None = None
) -> tuple[list[Any], dict[str, Any]]:
    """Train weights as the recipe says; at the end their running mean takes their place, if the recipe has
    one, or those of the step with the lowest held-out loss, if that is asked for.

    Args:
        settings: the stage's settings.
        task: what is trained, and on what.
        resume: the work folder with the hashes of the inputs, for a run that can be interrupted.
        kept: where the recorded step is, if there was a run on the same weights, or goes.

    Returns:
        What the losses were in each step: the mean over the step's batches. And what else there is to say:
        under `selected_step` the steps that were chosen.
    """
    # state: weights, optimizer, schedule and running mean, from a checkpoint where there is one
    recipe, scale = settings.recipe, LOSS_SCALE if settings.base.dtype == "float16" else 1.0
    optimizer = adamw(task.weights, settings, task.text)
    weights = [*task.weights, *task.text]
    schedule_lr, mean = lr_schedule(optimizer, recipe), RunningMean(weights, recipe.ema)
    first = task.looks.losses() if task.looks else []
    choice = Choice(weights, first) if settings.select == "held_out" else None
    changing = {"weights": weights, "mean": mean.mean, "choice": choice.tensors if choice else []}
    training = TrainingState(changing, optimizer, schedule_lr, task.generator, task.streams)
    if resume:
        training.resume(resume)
    callback.current.begin("train", task.runs, recipe.steps, training.notes)
    # on a GPU a step is one CUDA graph where it can be recorded
    step = gradients(weights, task, scale)
    stream: AbstractContextManager[None] = nullcontext()
    if devices.current().type == "cuda" and recordable(recipe):
        recorded = (kept and kept.step) or cuda_graphs.Replayed(step, weights, torch.cuda.Stream())
        step, stream = recorded, cuda_graphs.on(recorded.stream)
        if kept:
            kept.step = recorded

    prefetch = Prefetch(
        lambda: [task.next_batch() for _ in range(recipe.accumulate)], task.generator, task.streams
    )

    # when held-out images are looked at, and when sample images are drawn
    looking = looking_steps(recipe.steps) if task.looks else set()
    drawing = callback.current.draws_at(recipe.steps)

    def look(number: int) -> None:
        with mean.installed():
            if task.looks and number in looking:
                losses = task.looks.losses() if number else first
                if choice:
                    choice.offer(number, losses)
                callback.current.look(number, [figures(*pair) for pair in zip(losses, first, strict=True)])
            if number in drawing:
                callback.current.draw(number)

    # the loop, which waits for the device once a step; AdamW of 32 bits can skip a step
    watched, skipped, lost = looking | drawing, 0, 0  # steps in a row, and in all since the last checkpoint
    skipping = scale != 1 and recipe.optimizer == "adamw"
    with stream:
        if not training.step and 0 in watched:
            look(0)
        steps = range(training.step, recipe.steps)
        for _ in counted(steps, recipe.steps, f"adapt {task.name}", done=training.step):
            done = step(prefetch.take())
            rate = optimizer.param_groups[0]["lr"]
            if skipping:  # on the device: nothing waits for it
                optimizer.found_inf = (~torch.isfinite(done[1]).all()).float()
            optimizer.step()
            schedule_lr.step()
            mean.update(training.step + 1)
            if training.step + 1 < recipe.steps:
                prefetch.prepare()
            losses, norms = done.cpu()  # the only wait for the GPU in a step
            if not torch.isfinite(losses).all():
                raise FairgenError(
                    f"adapt {task.name}: the loss is not finite; lower adapt.{settings.kind}.lr"
                )
            skipped = 0 if torch.isfinite(norms).all() else skipped + 1
            lost += bool(skipped)
            if skipped > (MOST_SKIPPED if skipping else 0) or 2 * lost > recipe.steps:
                instead = ", or set diffusion.dtype: bfloat16" if scale != 1 else ""
                raise FairgenError(
                    f"adapt {task.name}: gradients are not finite; lower adapt.{settings.kind}.lr{instead}"
                )
            if skipped:
                job.log.warning("adapt %s: step %d overflows and is skipped", task.name, training.step + 1)
                norms = torch.zeros_like(norms)
            training.step += 1
            training.losses.append(losses.tolist())
            callback.current.step(
                training.step, losses.reshape(-1).tolist(), norms.reshape(-1).tolist(), rate
            )
            if training.step in watched:
                look(training.step)
            if resume and resume.work.due():
                with prefetch.rewound():
                    training.save(resume.work)
        (choice or mean).install()
    return training.losses, chosen(task, choice)


def figures(losses: list[float], first: list[float]) -> dict[str, float]:
    """What a look says of one adapter: the loss as a share of the base's, and at each level; nothing without
    held-out images.
    """
    levels = {f"held_out_loss_{level:g}": loss for level, loss in zip(LEVELS, losses, strict=False)}
    return {"held_out_loss": relative(losses, first), **levels} if losses else {}


def chosen(task: Task, choice: Choice | None) -> dict[str, Any]:
    """The steps that were chosen, for the adapters' files; they are told if one is the first."""
    if not choice:
        return {}
    for name, step in zip(task.runs, choice.steps, strict=True):
        if not step:
            job.warn(f"adapt {name}: training never lowers the held-out loss, so the base's weights stay")
    callback.current.selected(choice.steps)
    return {"selected_step": choice.steps}


def by_tenths(losses: list[float]) -> list[float]:
    """The mean loss of each tenth of a run."""
    return [float(np.mean(part)) for part in np.array_split(losses, 10) if len(part)]
