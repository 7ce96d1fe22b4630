"""What the adapters of a group are trained on: its clusters' images, the prompt, the class images."""

import random
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairgen.core import callback, job, parquet
from fairgen.core.errors import FairgenError
from fairgen.core.seeds import seed_of
from fairgen.core.workfolder import Resume, digest
from fairgen.generate.prompts import instance_prompt
from fairgen.generate.recipe import Adapt, recorded, rows_each

if TYPE_CHECKING:
    import numpy as np

    from fairgen.generate.held_out import Unseen
    from fairgen.generate.latents import Companion
    from fairgen.models.base_model import Base


def reason_to_skip(group: str, cluster: int, labels: list[int], settings: Adapt) -> str:
    """Why this slot has nothing to train; "" if it has."""
    donor = settings.donors[group]
    if donor and len(labels) < settings.borrow_below:
        return f"borrows from {donor}: {len(labels)} images, adapt.borrow_below = {settings.borrow_below}"
    if not labels:
        remedy = "raise adapt.borrow_below above 0" if donor else "give it a donor in the config"
        raise FairgenError(f"group {group} has no training image and borrows from no group; {remedy}")
    return "" if cluster in labels else f"the group has {len(set(labels))} clusters"


@dataclass(frozen=True)
class ClusterFiles(job.Files):
    """What the adapters of a group are made from."""

    clusters: job.Input
    split: job.Input
    prior: job.Inputs
    group: job.Value


def assignment(files: ClusterFiles) -> dict[str, int]:
    """Cluster of each training image of the group, by the image's id."""
    return {r["id"]: r["cluster"] for r in parquet.rows(files.clusters) if r["group"] == files.group}


@dataclass(frozen=True)
class Material:
    """What the adapters of some clusters of a group are trained on."""

    base: "Base"
    identity: str  # of the base
    prompt: str
    pixels: "list[np.ndarray]"  # (n, h, w, 3) uint8 of each cluster
    # (n, 4) of each cluster: the images' own sizes and the corners of their crops
    origins: "list[np.ndarray]"
    sizes: list[int]  # images of each cluster, the unread ones included
    captions: list[list[str]]  # of each cluster the prompts of its images by their captions; empty for none
    priors: "list[tuple[str, np.ndarray]]"  # prompt and class images
    companions: "list[Companion]"
    unseen: "list[Unseen | None]"  # held-out images of each cluster, where they are looked at
    resume: Resume

    def facts(self, settings: Adapt, images: int, found: dict[str, Any]) -> dict[str, Any]:
        """What the file of an adapter says about its training; `found` is what that has to say itself."""
        about = {"images": images, "base": self.identity, "prompt": self.prompt, "token": settings.token}
        recipe = settings.recipe
        about |= {"rank": recipe.rank, "alpha": recipe.alpha, "dora": recipe.dora}
        return about | found | {"settings": recorded(settings)}


def held_out_ids(clusters: Path, group: str, cluster: int, select: str) -> tuple[list[str], str]:
    """Ids of held-out images of a cluster, or of its whole group if none is closest to the cluster, and which
    of the two they are of.

    Raises:
        FairgenError: there is none, and the step is to be chosen by them.
    """
    of = parquet.facts(clusters).get(group, {}).get("held_out", [])
    own = of[cluster] if of else []
    every = [i for turn in zip_longest(*of) for i in turn if i is not None]  # of every cluster alike
    if not every and select == "held_out":
        raise FairgenError(
            f"adapt.select: held_out: group {group} has no validation image to choose a step by; set select:"
            " last, or give the group validation images (index.fractions, or the data's own split)"
        )
    return (own, "cluster") if own else (every, "group")


def enough(files: list[str], settings: Adapt, name: str, rows: int) -> list[str]:
    """The images that a training can see with so many rows of them in a batch: all, or a random part of more.

    It draws their mirror images as well, so of a part it sees about three quarters.
    """
    most = settings.recipe.steps * settings.recipe.accumulate * rows
    return (
        files
        if len(files) <= most
        else random.Random(seed_of("images", settings.seed, name)).sample(files, most)
    )


def material(settings: Adapt, files: ClusterFiles, assigned: dict[str, int], clusters: list[int]) -> Material:
    """Read the images of some clusters, and the class images."""
    import numpy as np

    from fairgen.core import crops, images
    from fairgen.generate import held_out
    from fairgen.generate.captions import prompts_of
    from fairgen.models import diffusion

    base = settings.base
    split, root = parquet.rows(files.split), Path(parquet.facts(files.split)["root"])
    row_of = {r["path"]: r for r in split}
    images_of = [[r["path"] for r in split if assigned.get(r["id"]) == cluster] for cluster in clusters]
    rows = settings.recipe.batch
    seen = [
        enough(listed, settings, f"{files.group}/{c}", rows)
        for c, listed in zip(clusters, images_of, strict=True)
    ]
    hashes = {path: r["hash"] for path, r in row_of.items()}

    def load(listed: list[str]) -> "tuple[np.ndarray, np.ndarray]":
        boxes = [crops.read(row_of[path].get("box", "")) for path in listed]
        origins = np.empty((len(listed), 4), dtype=np.int64)
        return images.load(
            root,
            listed,
            base.resolution,
            hashes,
            origins,
            lambda number, size: crops.place(settings.crop, size, boxes[number]),
        ), origins

    def unseen(cluster: int) -> "Unseen | None":
        ids, of = held_out_ids(files.clusters, files.group, cluster, settings.select)
        chosen = set(ids[: held_out.IMAGES])
        listed = [r["path"] for r in split if r["id"] in chosen]
        job.log.info("%s/%d: %d held-out images of its %s", files.group, cluster, len(listed), of)
        try:
            return held_out.Unseen(*load(listed)) if listed else None
        except FairgenError as error:
            if settings.select == "held_out":
                raise
            job.warn(f"{files.group}: no loss on held-out images in the curves ({error})")
            return None

    pixels, origins = (list(part) for part in zip(*map(load, seen), strict=True))
    captions = [[row_of[path].get("caption", "") for path in listed] for listed in seen]
    captions = [prompts_of(own, settings.token, base) for own in captions] if settings.captions else []
    priors = [
        (parquet.read(path, ["prompt"])["prompt"][0].as_py(), images.load_column(path, base.resolution))
        for path in files.prior
    ]
    companions, others = [], len(settings.companions)
    for other in settings.companions:
        of_other = [r["path"] for r in split if (r["group"], r["split"]) == (other, "train")]
        if listed := enough(of_other, settings, f"{files.group} {other}", rows_each(rows, others)):
            companions.append((instance_prompt(settings.prompts[other], settings.token), *load(listed)))
    looked_at = settings.select == "held_out" or callback.current.looks
    held = [unseen(cluster) if looked_at else None for cluster in clusters]
    identity, texts = diffusion.identity(base), [text.encode() for text, _ in priors]
    inputs = {
        "base": identity,
        "images": digest(*pixels, *origins),
        "prior": digest(*texts, *(x for _, x in priors)),
        # what a step is chosen by; images that are looked at for curves decide nothing
        **(
            {"held_out": digest(*(x for own in held if own for x in (own.pixels, own.origins)))}
            if settings.select == "held_out"
            else {}
        ),
        **({"companions": digest(*(x for _, *own in companions for x in own))} if companions else {}),
        **({"captions": digest(*(x.encode() for own in captions for x in own))} if captions else {}),
    }
    prompt = instance_prompt(settings.prompts[files.group], settings.token)
    sizes = [len(listed) for listed in images_of]
    resume = Resume(files.work, inputs)
    return Material(
        base, identity, prompt, pixels, origins, sizes, captions, priors, companions, held, resume
    )
