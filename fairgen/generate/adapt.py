"""Stage `adapt`: train one generator on one cluster of one group, by LoRA or by full DreamBooth (arXiv
2208.12242).

A slot with nothing to train (a group that borrows its donor's generators, or a cluster that does not exist)
writes an empty record with the reason and ends before anything heavy is imported.

With `adapt.process: group` a process that has trained its cluster goes on with the group's others, as far as
no other process does, on the models that it holds (`job.main`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from fairgen.core import job
from fairgen.generate.material import ClusterFiles, assignment, material, reason_to_skip
from fairgen.generate.recipe import Adapt
from fairgen.models import adapters

if TYPE_CHECKING:
    from fairgen.generate.kept import Kept


@dataclass(frozen=True)
class Files(ClusterFiles):
    """What a job reads and writes."""

    cluster: job.Value
    adapter: job.Output


def nothing_kept() -> "Kept":
    """What a first training finds of those before it."""
    from fairgen.generate.kept import Kept

    return Kept()


def work(settings: Adapt, files: Files, kept: "Callable[[], Kept]" = nothing_kept) -> None:
    """Train the slot, or record why not; `kept` has what the trainings of the group have in common."""
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
        kept(),
        given.companions,
    )
    text = text_adapters.state(encoders, settings.kind)
    adapters.write(files.adapter, unet, facts | given.facts(settings, given.sizes[0], found), text)


def main(argv: Sequence[str] | None = None) -> None:
    """The command line; all slots of a call have one `Kept`."""
    kept = cache(nothing_kept)
    job.main(lambda settings, files: work(settings, files, kept), Adapt, Files, argv, beside="cluster")


if __name__ == "__main__":
    main()
