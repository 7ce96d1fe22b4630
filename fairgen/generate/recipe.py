"""How a generator is finetuned: the settings of `adapt` and `adapt_shared`."""

from dataclasses import asdict, dataclass
from typing import Any

from fairgen.models import base_model


@dataclass(frozen=True)
class Recipe:
    """How one kind of adapter is trained; `rank`, `alpha`, `dora` and `targets` are LoRA's."""

    lr: float
    steps: int
    batch: int
    schedule: str  # of the learning rate, a name of diffusers.optimization: constant, cosine, linear, …
    warmup: int  # steps over which the learning rate rises from 0
    # decay of the running mean of the weights, which is then what is kept; 0 keeps the last weights
    ema: float
    prior_weight: float  # weight of the prior-preservation loss; 0 trains without prior images
    prior_batch: int
    accumulate: int  # batches of a step, one after the other
    gradient_checkpointing: bool  # compute activations again in the backward pass: less memory, more time
    # or adamw8bit: moments in 8 bits (arXiv 2110.02861), by the package bitsandbytes
    optimizer: str = "adamw"
    text_lr: float = 0.0  # of the text encoders; 0 leaves them as they are
    rank: int = 0
    alpha: float = 0.0
    dora: bool = False
    # compile the blocks of the denoiser (`models.regions`): other sums, so other bits
    compile: bool = False
    targets: tuple[str, ...] = ()  # names of the layers with LoRA; none: those that are usual for the base


def rows_each(rows: int, sets: int) -> int:
    """Rows that a batch takes of each of some sets that share `rows`: one at least."""
    return max(1, rows // sets)


@dataclass(frozen=True)
class Adapt:
    """The base, the rare token, the kind of adapter with its recipe, and the prompts of the groups."""

    kind: str  # lora | full
    recipe: Recipe
    token: str
    borrow_below: int  # groups with fewer training images are sampled from their donor's adapters
    min_snr: float  # gamma of the min-SNR loss weight (arXiv 2303.09556); 0 weights all steps alike
    offset_noise: float  # part of the noise that is one number per channel; 0 for none
    base: base_model.Base
    prompts: dict[str, str]
    donors: dict[str, str | None]
    seed: int
    # of flow matching: none, logit_normal, mode or cosmap (arXiv 2403.03206, section 3.1)
    weighting: str = "none"
    shift: float = 1.0  # of its time steps: sσ / (1 + (s − 1)σ) on top of the base's own
    crop: str = "centre"  # which square of an image is seen: centre, top or box
    captions: float = 0.0  # share of the images drawn that get their own caption for their group's prompt
    # what is kept of a run: the weights of its last step, or of the look with the lowest loss on held-out
    # images (`held_out.LOOKS` of them)
    select: str = "last"
    # groups whose images are trained along under their own prompts, so that the token does not come to mean
    # the group's bias
    companions: tuple[str, ...] = ()


def recorded(settings: Adapt) -> dict[str, Any]:
    """The settings as an adapter records them; what was added later only where it is used."""
    found = asdict(settings)
    if not settings.companions:
        del found["companions"]
    if not settings.recipe.compile:
        del found["recipe"]["compile"]
    return found
