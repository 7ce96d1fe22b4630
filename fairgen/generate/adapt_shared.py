"""Stage `adapt_shared`: train the LoRA adapters of all clusters of one group in one shared batch, as `adapt`
would one by one.

A group that borrows its donor's generators writes an empty record with the reason and ends before anything
heavy is imported.
"""

from dataclasses import dataclass

from fairgen.core import job
from fairgen.generate.material import ClusterFiles, assignment, material, reason_to_skip
from fairgen.generate.recipe import Adapt
from fairgen.models import adapters, lora


@dataclass(frozen=True)
class Files(ClusterFiles):
    """What a job reads and writes."""

    adapters: job.Output


def work(settings: Adapt, files: Files) -> None:
    """Train the group's adapters, or record why not."""
    group, assigned = files.group, assignment(files)
    clusters = sorted(set(assigned.values()))
    facts = {"group": group, "kind": settings.kind}
    reason = reason_to_skip(group, 0, list(assigned.values()), settings)
    if reason:
        job.log.info("nothing to train: %s", reason)
        adapters.write_empty(files.adapters, {**facts, "reason": reason, "images": 0})
        return
    from fairgen.generate.training_shared import train
    from fairgen.models import diffusion, parts

    given = material(settings, files, assigned, clusters)
    named = {f"{group}/{cluster}": pixels for cluster, pixels in zip(clusters, given.pixels, strict=True)}
    trained = train(
        settings,
        given.base,
        given.prompt,
        named,
        given.priors,
        group,
        given.resume,
        given.origins,
        given.captions,
        given.unseen,
        given.companions,
    )
    found = {}
    for cluster, size, (state, told) in zip(clusters, given.sizes, trained, strict=True):
        about = {**facts, "cluster": cluster, "reason": "", **given.facts(settings, size, told)}
        found[str(cluster)] = (state, about)
    recipe, base = settings.recipe, settings.base
    targets = recipe.targets or diffusion.lora_targets(base)
    config = lora.lora_config(recipe.rank, recipe.alpha, recipe.dora, targets)
    adapters.write_group(files.adapters, found, parts.layout(base).denoiser, config)


if __name__ == "__main__":
    job.main(work, Adapt, Files)
