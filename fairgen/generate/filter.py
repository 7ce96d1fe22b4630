"""Stage `filter`: keep each group's best images by their scores, up to its quota, and record why the others
go.
"""

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
    threshold: float  # none of random numbers
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


def in_proportion(quota: list[int], passed: list[int]) -> list[int]:
    """Quotas made smaller, all alike, until each group has as many images as it keeps."""
    share = min((have / wanted for have, wanted in zip(passed, quota, strict=True) if wanted), default=1.0)
    return quota if share >= 1 else [max(1, round(share * wanted)) if wanted else 0 for wanted in quota]


def select(passes: np.ndarray, score: np.ndarray, own: np.ndarray, by: str, quota: list[int]) -> np.ndarray:
    """Outcome per image: "" for kept, else the reason; within a group the best `quota[group]` of those that
    pass the threshold are kept.
    """
    outcome = np.where(passes, "", f"{by} below threshold").astype(object)
    for group in np.unique(own):
        passed = np.flatnonzero((own == group) & passes)
        best = passed[np.argsort(-score[passed], kind="stable")]
        outcome[best[quota[group] :]] = "over quota"
    return outcome


def check(
    settings: Filter, groups: list[str], quota: list[int], sampled: list[int], passed: list[int]
) -> None:
    """Stop where a group falls short of its quota, unless the config allows it, or has no image at all."""
    limit = f"filter.threshold = {settings.threshold}"
    passing, lower = f" with {settings.by} ≥ {limit}", "filter.threshold or filter.quota"
    if settings.by == "random":
        passing, lower = "", "filter.quota"
    for name, wanted, drawn, have in zip(groups, quota, sampled, passed, strict=True):
        if have < wanted and not settings.allow_shortfall:
            raise FairgenError(
                f"filter: group {name} keeps {have} of the {wanted} images that filter.quota asks for"
                f" ({drawn} sampled{passing and f', {have}{passing}'}); lower {lower}, raise"
                " sample.per_group, or set filter.allow_shortfall: true"
            )
        if wanted and not have:
            raise FairgenError(f"filter: no image of group {name} passes {limit}; lower it")


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
    passes = np.full(len(own), True) if at_random else score >= settings.threshold
    sampled, passed = (
        [int(((own == i) & these).sum()) for i in range(len(groups))] for these in (True, passes)
    )
    check(settings, groups, quota, sampled, passed)
    if settings.balance == "data" and (fewer := in_proportion(quota, passed)) != quota:
        job.log.warning("%s images in place of %s, to keep the proportions", fewer, quota)
        quota = fewer
    outcome = select(passes, score, own, settings.by, quota)
    summary = {
        name: {
            "kept": int((outcome[own == i] == "").sum()),
            "sampled": sampled[i],
            "accepted": passed[i] / max(1, sampled[i]),
        }
        for i, name in enumerate(groups)
    }
    job.log.info("kept %s", summary)
    columns = {name: table[name] for name in ("id", "group", "cluster", "file")}
    parquet.write(
        files.selection,
        {**columns, "score": score, "kept": outcome == "", "reason": outcome.astype(str)},
        {"groups": summary, "samples": facts.get("samples", {})},
    )


if __name__ == "__main__":
    job.main(work, Filter, Files)
