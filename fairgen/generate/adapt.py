"""Stage `adapt`: train one generator on one cluster of one group, by LoRA or by full DreamBooth (arXiv
2208.12242).

A slot with nothing to train (a group that borrows its donor's generators, or a cluster that does not exist)
writes an empty record with the reason and ends before anything heavy is imported.
"""

from dataclasses import dataclass
from typing import Any

from fairgen.core import job
from fairgen.generate.material import ClusterFiles, assignment, material, reason_to_skip
from fairgen.generate.recipe import Adapt
from fairgen.models import adapters


@dataclass(frozen=True)
class Files(ClusterFiles):
    """What a job reads and writes."""

    cluster: job.Value
    adapter: job.Output


def work(settings: Adapt, files: Files) -> None:
    """Train the slot, or record why not."""
    group, cluster, assigned = files.group, int(files.cluster), assignment(files)
    reason = reason_to_skip(group, cluster, list(assigned.values()), settings)
    facts: dict[str, Any] = {"group": group, "cluster": cluster, "kind": settings.kind, "reason": reason}
    if reason:
        job.log.info("nothing to train: %s", reason)
        adapters.write_empty(files.adapter, {**facts, "images": 0})
        return
    from fairgen.generate import text_adapters
    from fairgen.generate.training import train

    given = material(settings, files, assigned, [cluster])
    (pixels,), (origins,) = given.pixels, given.origins
    encoders, name = text_adapters.load(settings, given.base), f"{group}/{cluster}"
    captions = given.captions[0] if given.captions else ()
    unet, found = train(
        settings,
        given.base,
        (given.prompt, pixels),
        given.priors,
        name,
        given.resume,
        encoders,
        origins,
        captions,
        given.unseen[0],
    )
    text = text_adapters.state(encoders, settings.kind)
    adapters.write(files.adapter, unet, facts | given.facts(settings, given.sizes[0], found), text)


if __name__ == "__main__":
    job.main(work, Adapt, Files)
