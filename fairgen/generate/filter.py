"""Stage `filter`: keep each group's best images by their scores, up to its quota, and record why the others
go.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from fairgen.core import job, parquet
from fairgen.core.errors import FairgenError
from fairgen.core.seeds import seed_of
from fairgen.generate.judgement import own_scores


@dataclass(frozen=True)
class Filter:
    """The score, the threshold on it, and how many images a group keeps."""

    by: str  # probability | cosine | quantile | random
    threshold: float
    balance: str  # groups | data
    quota: int  # images per group: of every group, or on average
    allow_shortfall: bool


@dataclass(frozen=True)
class Files(job.Files):
    """What a job reads and writes."""

    scores: job.Input
    split: job.Inputs
    selection: job.Output


def random_scores(ids: list[str]) -> np.ndarray:
    """A number in [0, 1) from each image's id: the control that keeps images without looking at them."""
    return np.array([seed_of("filter", name) / 2**63 for name in ids])


def quotas(settings: Filter, counts: list[int]) -> list[int]:
    """Images that each group keeps: `quota`, or shares of the same total in proportion to its training images
    `counts`.
    """
    if settings.balance == "groups":
        return [settings.quota] * len(counts)
    return [round(settings.quota * len(counts) * count / sum(counts)) for count in counts]


def select(score: np.ndarray, own: np.ndarray, settings: Filter, quota: list[int]) -> np.ndarray:
    """Outcome per image: "" for kept, else the reason; within a group the best `quota[group]` above the
    threshold are kept.
    """
    outcome = np.where(score >= settings.threshold, "", f"{settings.by} below threshold").astype(object)
    for group in np.unique(own):
        passed = np.flatnonzero((own == group) & (outcome == ""))
        best = passed[np.argsort(-score[passed], kind="stable")]
        outcome[best[quota[group] :]] = "over quota"
    return outcome


def work(settings: Filter, files: Files) -> None:
    """Decide on every image; a group short of its quota stops the run unless that is allowed."""
    # scores: by CLIP, or random ones for the control
    table, facts = parquet.read(files.scores), parquet.facts(files.scores)
    groups = facts["groups"]
    cosines = parquet.matrix(table, "cosines")
    own = np.array([groups.index(g) for g in table["group"].to_pylist()])
    at_random = settings.by == "random"
    score = (
        random_scores(table["id"].to_pylist())
        if at_random
        else own_scores(cosines, own, facts["scale"], settings.by)
    )
    # each group's best images above the threshold, up to its quota
    trained = parquet.facts(files.split[0])["counts"]["train"] if files.split else {}
    quota = quotas(settings, [trained.get(name, 0) for name in groups])
    outcome = select(score, own, settings, quota)
    summary = {}
    for i, name in enumerate(groups):
        reasons = Counter(outcome[own == i].tolist())
        kept, passed = reasons[""], reasons[""] + reasons["over quota"]
        summary[name] = {
            "kept": kept,
            "sampled": int((own == i).sum()),
            "accepted": passed / max(1, int((own == i).sum())),
        }
        # a group that falls short stops the run, unless the config allows it
        if kept < quota[i] and not settings.allow_shortfall:
            raise FairgenError(
                f"filter: group {name} keeps {kept} of the {quota[i]} images that filter.quota asks for"
                f" ({summary[name]['sampled']} sampled, {passed} with {settings.by} ≥ filter.threshold ="
                f" {settings.threshold}); lower filter.threshold or filter.quota, raise sample.per_group, or"
                " set filter.allow_shortfall: true"
            )
        if quota[i] and not kept:
            raise FairgenError(
                f"filter: no image of group {name} passes filter.threshold = {settings.threshold}; lower it"
            )
    job.log.info("kept %s", summary)
    columns = {name: table[name] for name in ("id", "group", "cluster", "file")}
    parquet.write(
        files.selection,
        {**columns, "score": score, "kept": outcome == "", "reason": outcome.astype(str)},
        {"groups": summary, "samples": facts.get("samples", {})},
    )


if __name__ == "__main__":
    job.main(work, Filter, Files)
