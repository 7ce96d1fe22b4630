"""Stage `adapt`: train one generator on one cluster of one group, by LoRA or by full DreamBooth (arXiv 2208.12242).

A slot with nothing to train (a group that borrows its donor's generators, or a cluster that does not exist) writes an
empty record with the reason and ends before anything heavy is imported.
"""

import random
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from fairgen import job, tables
from fairgen.errors import FairgenError
from fairgen.models import adapters
from fairgen.prompts import instance_prompt
from fairgen.seeds import seed_of

if TYPE_CHECKING:
    import numpy as np

    from fairgen.models.diffusion import Base
    from fairgen.work import Work


@dataclass(frozen=True)
class Recipe:
    """How one kind of adapter is trained; `rank`, `alpha`, `dora` and `targets` are LoRA's."""

    lr: float
    steps: int
    batch: int
    schedule: str  # of the learning rate, a name of diffusers.optimization: constant, cosine, linear, …
    warmup: int  # steps over which the learning rate rises from 0
    ema: float  # decay of the running mean of the weights, which is then what is kept; 0 keeps the last weights
    prior_weight: float  # weight of the prior-preservation loss; 0 trains without prior images
    prior_batch: int
    accumulate: int  # batches of a step, one after the other
    gradient_checkpointing: bool  # compute activations again in the backward pass: less memory, more time
    optimizer: str = "adamw"  # or adamw8bit: moments in 8 bits (arXiv 2110.02861), by the package bitsandbytes
    text_lr: float = 0.0  # of the text encoders; 0 leaves them as they are
    rank: int = 0
    alpha: float = 0.0
    dora: bool = False
    targets: tuple[str, ...] = adapters.LORA_TARGETS  # names of the layers with LoRA


@dataclass(frozen=True)
class Adapt:
    """The base, the rare token, the kind of adapter with its recipe, and the prompts of the groups."""

    kind: str  # lora | full
    recipe: Recipe
    token: str
    borrow_below: int  # groups with fewer training images are sampled from their donor's adapters
    min_snr: float  # gamma of the min-SNR loss weight (arXiv 2303.09556); 0 weights all steps alike
    offset_noise: float  # part of the noise that is one number per channel; 0 for none
    base: dict[str, Any]
    prompts: dict[str, str]
    donors: dict[str, str | None]
    seed: int


def reason_to_skip(group: str, cluster: int, labels: list[int], settings: Adapt) -> str:
    """Why this slot has nothing to train; "" if it has."""
    donor = settings.donors[group]
    if donor and len(labels) < settings.borrow_below:
        return f"borrows from {donor}: {len(labels)} images, adapt.borrow_below = {settings.borrow_below}"
    if not labels:
        raise FairgenError(f"group {group} has no training image and no donor; give it one (donor) in the config")
    return "" if cluster in labels else f"the group has {len(set(labels))} clusters"


def assignment(paths: SimpleNamespace) -> dict[str, int]:
    """Cluster of each training image of the group, by the image's id."""
    return {r["id"]: r["cluster"] for r in tables.rows(paths.clusters) if r["group"] == paths.group}


@dataclass(frozen=True)
class Material:
    """What the adapters of some clusters of a group are trained on."""

    base: "Base"
    identity: str  # of the base
    prompt: str
    pixels: "list[np.ndarray]"  # (n, h, w, 3) uint8 of each cluster
    origins: "list[np.ndarray]"  # (n, 4) of each cluster: the images' own sizes and the corners of their crops
    sizes: list[int]  # images of each cluster, the unread ones included
    priors: "list[tuple[str, np.ndarray]]"  # prompt and class images
    kept: "tuple[Work, dict[str, str]]"  # the work folder with the hashes of the inputs

    def facts(self, settings: Adapt, images: int, losses: list[float]) -> dict[str, Any]:
        """What the file of an adapter says about its training."""
        about = {"images": images, "base": self.identity, "prompt": self.prompt, "token": settings.token}
        recipe = settings.recipe
        about |= {"rank": recipe.rank, "alpha": recipe.alpha, "dora": recipe.dora}
        return about | {"loss": losses, "settings": asdict(settings)}


def enough(files: list[str], settings: Adapt, name: str) -> list[str]:
    """The images that a training of so many steps can see: all, or a random part of more.

    It draws their mirror images as well, so of a part it sees about three quarters.
    """
    recipe = settings.recipe
    most = recipe.steps * recipe.accumulate * recipe.batch
    return files if len(files) <= most else random.Random(seed_of("images", settings.seed, name)).sample(files, most)


def material(settings: Adapt, paths: SimpleNamespace, assigned: dict[str, int], clusters: list[int]) -> Material:
    """Read the images of some clusters, and the class images."""
    import numpy as np

    from fairgen import images
    from fairgen.models import diffusion
    from fairgen.work import digest

    base = diffusion.Base(**settings.base)
    split, root = tables.rows(paths.split), Path(tables.facts(paths.split)["root"])
    files = [[r["path"] for r in split if assigned.get(r["id"]) == cluster] for cluster in clusters]
    seen = [enough(listed, settings, f"{paths.group}/{c}") for c, listed in zip(clusters, files, strict=True)]
    origins = [np.empty((len(listed), 4), dtype=np.int64) for listed in seen]
    hashes = {r["path"]: r["hash"] for r in split}
    pixels = [images.load(root, listed, base.resolution, hashes, own) for listed, own in zip(seen, origins, strict=True)]
    priors = [
        (tables.read(path, ["prompt"])["prompt"][0].as_py(), images.load_column(path, base.resolution)) for path in paths.prior
    ]
    identity, texts = diffusion.identity(base), [text.encode() for text, _ in priors]
    inputs = {"base": identity, "images": digest(*pixels, *origins), "prior": digest(*texts, *(x for _, x in priors))}
    prompt = instance_prompt(settings.prompts[paths.group], settings.token)
    return Material(base, identity, prompt, pixels, origins, [len(listed) for listed in files], priors, (paths.work, inputs))


def work(settings: Adapt, paths: SimpleNamespace) -> None:
    """Train the slot, or record why not."""
    group, cluster, assigned = paths.group, int(paths.cluster), assignment(paths)
    reason = reason_to_skip(group, cluster, list(assigned.values()), settings)
    facts: dict[str, Any] = {"group": group, "cluster": cluster, "kind": settings.kind, "reason": reason}
    if reason:
        job.log.info("nothing to train: %s", reason)
        adapters.write_empty(paths.adapter, {**facts, "images": 0})
        return
    from fairgen.dreambooth import train
    from fairgen.models import text_adapters

    given = material(settings, paths, assigned, [cluster])
    (pixels,), (origins,) = given.pixels, given.origins
    encoders, name = text_adapters.load(settings, given.base), f"{group}/{cluster}"
    unet, losses = train(settings, given.base, (given.prompt, pixels), given.priors, name, given.kept, encoders, origins)
    text = text_adapters.state(encoders, settings.kind)
    adapters.write(paths.adapter, unet, facts | given.facts(settings, given.sizes[0], losses), text)


if __name__ == "__main__":
    job.main(work, Adapt, reads=["clusters", "split", "prior*"], writes=["adapter"], values=["group", "cluster"])
