"""What planned jobs cost: by finished jobs that did the same work, else by reference rates (`rates`)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairgen.commands import rates
from fairgen.commands.amounts import Amount, either, plus, span
from fairgen.commands.estimate_screen import Cost
from fairgen.commands.finished import Past, settings_of, work_of
from fairgen.workflow.method_chain import Config, block, dataset_block
from fairgen.workflow.stage_settings import settings
from fairgen.workflow.stages import STAGES


@dataclass(frozen=True)
class Job:
    """A planned job: its rule and wildcards, and the settings that it would get."""

    rule: str
    wildcards: dict[str, str]
    settings: dict[str, Any]

    @property
    def of(self) -> tuple[str, str]:
        """Its scope and group."""
        return self.wildcards.get("scope", ""), self.wildcards.get("group", "")


def same_data(config: Config, dataset: str, results: Path) -> bool:
    """Whether the index, and the drawings of birds, that lie there are of the config's data."""
    files = {"index": results / "index.parquet", "draw": results / "drawings.parquet"}
    if dataset_block(config, dataset)["format"] != "birds":
        del files["draw"]
    found = {stage: settings_of(path) if path.is_file() else None for stage, path in files.items()}
    return all(
        s is not None and work_of(s) == work_of(json.loads(settings(config, dataset, stage)))
        for stage, s in found.items()
    )


def like(job: Job, before: dict[str, list[Past]], data: bool) -> list[Past]:
    """Finished jobs that did the same work.

    Args:
        job: the planned one.
        before: finished jobs of its data set by rule.
        data: whether they were of the same data.
    """
    if not data and STAGES[job.rule].of_data:
        return []
    found = [one for one in before.get(job.rule, []) if work_of(one.settings) == work_of(job.settings)]
    if not may_borrow(job):
        return found
    return [one for one in found if one.of == job.of] or found


def may_borrow(job: Job) -> bool:
    """Whether the number of a group's images, which no setting tells, decides what a job has to do."""
    if job.rule == "sample":
        return job.settings.get("borrowed_guidance", 0) > 0
    return job.rule in ("adapt", "adapt_shared") and rates.may_borrow(job.settings)


def one_sided(job: Job, known: list[Past]) -> bool:
    """Whether finished jobs are of groups that all borrowed, or all did not, and the job's group is none of
    them.
    """
    same = len({one.borrowed for one in known}) == 1
    return may_borrow(job) and same and known[0].of != job.of


def costs(
    jobs: list[Job], before: dict[str, list[Past]], data: bool, reference: rates.Reference, config: Config
) -> list[Cost]:
    """Time and size of all jobs of each rule.

    Args:
        jobs: planned, of one data set.
        before: finished jobs of that data set by rule.
        data: whether they were of the same data.
        reference: for jobs of which no like one is among them.
        config: the expanded config.
    """
    sampled = [
        *(job.settings for job in jobs if job.rule == "sample"),
        *(one.settings for one in before.get("sample", [])),
    ]
    alike = len({s["per_group"] for s in sampled}) == 1
    found: dict[str, list[tuple[Amount, Amount, str]]] = {}
    for job in jobs:
        known = like(job, before, data) if not STAGES[job.rule].of_samples or alike else []
        seconds: Amount = span([one.seconds for one in known]) if known else None
        sizes: Amount = span([one.megabytes for one in known]) if known else None
        source = "like jobs"
        if not known or one_sided(job, known):
            drawn, adapters = extent(job, config)
            by_rate = reference.seconds(job.rule, job.settings, drawn, adapters)
            by_size = reference.megabytes(job.rule, job.settings, adapters)
            seconds = either(seconds, by_rate) if known else by_rate
            sizes = either(sizes, by_size) if known else by_size
            source = "reference" if seconds else "not known"
        found.setdefault(job.rule, []).append((seconds, sizes, source))
    return [
        Cost(
            rule,
            len(own),
            plus(*(o[0] for o in own)),
            plus(*(o[1] for o in own)),
            ", ".join(dict.fromkeys(o[2] for o in own)),
        )
        for rule, own in found.items()
    ]


def extent(job: Job, config: Config) -> tuple[int, int]:
    """Images of the synthetic set that a job looks at, and adapters that it trains together."""
    dataset, method = job.wildcards["dataset"], job.wildcards.get("method")
    per_group, k = (
        block(config, dataset, method, name)[key] for name, key in (("sample", "per_group"), ("cluster", "k"))
    )
    return per_group * len(dataset_block(config, dataset)["groups"]), k if job.rule == "adapt_shared" else 1
