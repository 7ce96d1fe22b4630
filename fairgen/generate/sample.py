"""Stage `sample`: draw a group's synthetic images through all its adapters, or its donor's when it borrows.

The base is loaded once. Each cluster gets a share of the images proportional to its size, with a floor. Every
image has its own seed, derived from the group, the cluster and its number, and a row that says how it came
about.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from fairgen.core import devices, images, job, parquet
from fairgen.core.errors import FairgenError
from fairgen.core.progress import counted
from fairgen.core.seeds import seed_of
from fairgen.core.workfolder import Resume
from fairgen.generate import batch_size, resumable, text_adapters
from fairgen.generate.prompts import instance_prompt, plain_prompt
from fairgen.generate.solver import Composed, Solver, sample_images
from fairgen.models import adapters, base_model, diffusion, text_encoders

FIELDS = {
    "id": pa.string(),
    "group": pa.string(),
    "cluster": pa.int32(),
    "prompt": pa.string(),
    "negative_prompt": pa.string(),
    "seed": pa.int64(),
    "steps": pa.int32(),
    "guidance": pa.float64(),
    "base": pa.string(),
    "adapter": pa.string(),
    "adapter_hash": pa.string(),
    "borrowed_from": pa.string(),
    "borrowed_guidance": pa.float64(),
}


@dataclass(frozen=True)
class Sample:
    """Images per group, at least so many of each cluster, and how they are drawn."""

    per_group: int
    floor: int
    seed: int
    solver: Solver
    token: str
    base: base_model.Base
    prompts: dict[str, str]
    donors: dict[str, str | None]
    # weight of the step from the donor's plain prompt to the group's, where its generators are borrowed
    borrowed_guidance: float = 0


@dataclass(frozen=True)
class Source:
    """One generator: an adapter file (None: the base alone) with its hash, its cluster, how many images it
    draws, and the groups on whose images it was trained along.
    """

    path: Path | None
    cluster: int
    count: int
    digest: str = ""
    companions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Files(job.Files):
    """What a job reads and writes."""

    adapters: job.Inputs
    donors: job.Inputs
    group: job.Value
    samples: job.Output


def shares(sizes: list[int], total: int, floor: int) -> list[int]:
    """Split `total` images over clusters in proportion to their sizes (largest remainder), but none below
    `floor`.

    Where the floor is too high for all of them, every cluster gets as many as any other.
    """
    floor = min(floor, total // len(sizes))
    exact = [total * size / sum(sizes) for size in sizes]
    small = [x < floor for x in exact]
    if any(small):
        others = [size for size, few in zip(sizes, small, strict=True) if not few]
        rest = iter(shares(others, total - floor * sum(small), floor))
        return [floor if few else next(rest) for few in small]
    counts = [int(x) for x in exact]
    for i in sorted(range(len(sizes)), key=lambda i: counts[i] - exact[i])[: total - sum(counts)]:
        counts[i] += 1
    return counts


def companions(facts: dict[str, Any]) -> tuple[str, ...]:
    """The groups on whose images an adapter was trained along."""
    return tuple(facts.get("settings", {}).get("companions", ()))


def sources(
    own: list[Path], donors: list[Path], total: int, floor: int, group: str
) -> tuple[list[Source], bool]:
    """The generators to draw from, each with its share of `total` images, and whether they are the
    donor's.
    """
    if not own:
        return [Source(None, 0, total)], False
    for files, borrowed in ((own, False), (donors, True)):
        listed = [path for file in files for path in adapters.members(file)]
        trained = [(path, facts) for path in listed if (facts := adapters.read_facts(path))["images"]]
        if trained:
            counts = shares([facts["images"] for _, facts in trained], total, floor)
            drawn = zip(trained, counts, strict=True)
            found = [
                Source(path, facts["cluster"], count, adapters.digest(path), companions(facts))
                for (path, facts), count in drawn
            ]
            return found, borrowed
    raise FairgenError(
        f"group {group}: neither it nor its donor has a trained adapter; lower adapt.borrow_below"
    )


def rows(
    settings: Sample,
    group: str,
    chosen: list[Source],
    borrowed: bool,
    identity: str,
    skip: int = 0,
    notes: dict[str, Any] | None = None,
) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Draw every image of the group with its provenance, without the first `skip`; `identity` is the
    base's, and `notes` are for the job that goes on.
    """
    base = settings.base
    # prompts with the rare token for finetuned generators, plain ones for the base
    first = chosen[0].path
    adapted = first is not None
    prompt = settings.prompts[group]
    prompt = instance_prompt(prompt, settings.token) if adapted else plain_prompt(prompt)
    solver = settings.solver
    prompts = [prompt, solver.negative_prompt]
    plain = text_encoders.encode_prompts(base, prompts)
    # the networks, in the precision that the adapters were trained in
    exact = None if first is None else adapters.sampling_dtype(adapters.read_facts(first))
    unet, vae = diffusion.load_denoiser(base, exact), diffusion.load_vae(base)
    if exact and base.dtype != "float32":
        devices.fast_float32()
    lender = settings.donors[group] if borrowed else None
    composed = None
    if lender and settings.borrowed_guidance:
        # the untouched base tells the group from its donor, in words without the token
        words = [plain_prompt(settings.prompts[name]) for name in (group, lender)]
        of_base = diffusion.load_denoiser(base, exact), text_encoders.encode_prompts(base, words)
        composed = Composed(*of_base, settings.borrowed_guidance)
    most = max(source.count for source in chosen)
    asked = {} if notes is None else notes
    solver = batch_size.settled(solver, asked, unet, vae, base, plain, most, composed)
    job.ready()
    # provenance of every image
    about = {
        "group": group,
        "prompt": prompt,
        "negative_prompt": solver.negative_prompt,
        "steps": solver.steps,
        "guidance": solver.guidance,
        "base": f"{base.model}#{identity}",
        "borrowed_from": lender or "",
        "borrowed_guidance": composed.weight if composed else 0.0,
    }
    for source in chosen:
        # cluster by cluster, its adapter in the same networks
        behind, skip = min(skip, source.count), max(0, skip - source.count)
        text = plain
        if source.path is not None and behind < source.count:
            adapters.apply(source.path, unet, identity)
            if text_adapters.there(source.path):
                text = text_adapters.encode(source.path, base, identity, prompts)
        file = {"adapter": str(source.path or ""), "adapter_hash": source.digest}
        seeds = [seed_of("sample", settings.seed, group, source.cluster, i) for i in range(source.count)]
        drawn = images.encode_all(
            sample_images(unet, vae, base, text, seeds, solver, behind, composed), solver.batch
        )
        for i, content in enumerate(drawn, behind):
            name = f"{group}/{source.cluster}/{i}"
            yield content, {"id": name, "cluster": source.cluster, "seed": seeds[i], **about, **file}


def work(settings: Sample, files: Files) -> None:
    """Write the group's images."""
    group = files.group
    chosen, borrowed = sources(files.adapters, files.donors, settings.per_group, settings.floor, group)
    if borrowed:
        job.log.info("group %s borrows the adapters of %s", group, settings.donors[group])
    identity = diffusion.identity(settings.base)
    inputs = {"base": identity, "adapters": ",".join(source.digest for source in chosen if source.path)}
    drawn = resumable.resumed(
        Resume(files.work, inputs),
        FIELDS,
        lambda skip, notes: rows(settings, group, chosen, borrowed, identity, skip, notes),
    )
    told = counted(drawn, settings.per_group, f"sample {group}", "image")
    facts = {
        "borrowed_from": settings.donors[group] if borrowed else "",
        "sources": len(chosen),
        "companions": sorted({name for source in chosen for name in source.companions}),
    }
    parquet.write_images(files.samples, told, FIELDS, facts)


if __name__ == "__main__":
    job.main(work, Sample, Files)
