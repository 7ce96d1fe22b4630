"""Whole-chain replicates are the same experiment over again with other seeds: no more and no less."""

from typing import Any

from fairgen.core import schemas
from fairgen.core.errors import FairgenError
from fairgen.core.settings import canonical
from fairgen.core.workfolder import differences
from fairgen.workflow import compared
from fairgen.workflow.job_settings import Job
from fairgen.workflow.method_chain import (
    Config,
    block,
    dataset_block,
    extra,
    finetunes,
    preserves_prior,
    stage_one,
    starts,
    synthetic,
)
from fairgen.workflow.stage_settings import BUILD


def check_replicates(config: Config, name: str, ablation: str | None = None) -> None:
    """The replicates of a data set are data sets of the same groups, whose chains differ in their seeds, and
    in nothing else: those of the compared methods, or of an ablation's.

    Raises:
        FairgenError: there are none, or they are not.
    """
    where, replicates = f"config: replicates.{name}", compared.replicates(config, name)
    for other in [name, *replicates]:
        if other not in config["datasets"]:
            raise FairgenError(
                f"{where}: unknown data set '{other}' ({schemas.nearest(other, config['datasets'])}); or add"
                f" an entry {other} that says `like: {name}`"
            )
        if shape(config, other) != shape(config, name):
            raise FairgenError(
                f"{where}: {other} has other groups, ratios or methods than {name}, or another number of"
                " classifier seeds"
            )
    chains: dict[str, str] = {}
    designs = {}
    methods = compared.comparison(config, name, ablation)["compare"]
    own = {other: {m: chain_of(config, other, m) for m in methods} for other in replicates}
    for other in replicates:
        steps = {stage: settings for chain in own[other].values() for stage, settings in chain.items()}
        designs[other] = without_seeds(steps)
        first = chains.setdefault(canonical(steps), other)
        if first != other:
            raise FairgenError(
                f"{where}: {other} is {first} over again, with the same seeds throughout; give it others"
                " (datasets.<name>.options.seed of birds; settings.split.seed, cluster.seed, adapt.seed,"
                " sample.seed), of stages that its table depends on"
            )
    for method in methods:
        check_runs(config, where, method, {other: own[other][method] for other in replicates})
    for other in replicates[1:]:
        if found := differences(designs[replicates[0]], designs[other]):
            raise FairgenError(
                f"{where}: {other} differs from {replicates[0]} in more than seeds: {', '.join(found[:3])}"
                f"{', …' if len(found) > 3 else ''}; an interval over both would mix two experiments"
            )


def check_runs(config: Config, where: str, method: str, chains: dict[str, dict[str, Any]]) -> None:
    """A method has runs of its own in every replicate, by its chain in each: where nothing before the
    classifier differs for it, classifier seeds do.

    Raises:
        FairgenError: two replicates would count the same run.
    """
    seen: dict[tuple[str, int], str] = {}
    for other, chain in chains.items():
        steps = canonical(chain)
        for seed in block(config, other, None, "seeds"):
            first = seen.setdefault((steps, seed), other)
            if first != other:
                raise FairgenError(
                    f"{where}: {method} with classifier seed {seed} is the same run in {other} and {first},"
                    " so an interval over both would not see it vary; give each other drawings"
                    " (options.seed of birds) or another split (settings.index.seed, settings.split.seed),"
                    " and settings.seeds of its own"
                )


def shape(config: Config, dataset: str) -> list[Any]:
    """A data set's groups, ratios and compared methods, and how many classifier seeds."""
    groups, seeds = list(dataset_block(config, dataset)["groups"]), block(config, dataset, None, "seeds")
    return [groups, *(block(config, dataset, None, key) for key in ("ratios", "compare")), len(seeds)]


def chain_of(config: Config, dataset: str, shown: str) -> dict[str, Any]:
    """The settings of every stage that one compared method depends on, but for names and places that are the
    data set's own.
    """
    found = origin(config, dataset)
    split = settings_of(config, dataset, "split", None)
    cut = any(ratio != "natural" for ratio in block(config, dataset, None, "ratios"))
    found["split"] = split if cut else without_seeds(split)
    for method in starts(config, dataset, shown):
        if other := extra(config, dataset, method):
            found[f"extra of {method}"] = origin(config, other)
        for stage in stages_of(config, dataset, method):
            found[f"{stage} of {method}"] = settings_of(config, dataset, stage, method)
    return found


def origin(config: Config, dataset: str) -> dict[str, Any]:
    """How a data set's rows come about, but for its name and place."""
    index = settings_of(config, dataset, "index", None)
    found: dict[str, Any] = {"index": {k: v for k, v in index.items() if k not in ("dataset", "root")}}
    if index["format"] == "birds":
        found["draw"] = settings_of(config, dataset, "draw", None)
    return found


def stages_of(config: Config, dataset: str, method: str) -> list[str]:
    """The stages of a method that may depend on its settings and can change its result."""
    stages = ["finetune"]
    if stage_one(config, dataset, method):
        stages.append("pretrain")
    if synthetic(config, method):
        stages += ["sample", "score", "filter"]
        if finetunes(config, dataset, method):
            stages += ["adapt", "prior"] if preserves_prior(config, dataset, method) else ["adapt"]
            stages += ["cluster", "embed"] if block(config, dataset, method, "cluster")["k"] > 1 else []
    return stages


def settings_of(config: Config, dataset: str, stage: str, method: str | None) -> Config:
    """A stage's settings for all groups, without the name of the data set that stage 1 takes images of."""
    found = BUILD[stage](Job(config, dataset, method))
    return {k: v for k, v in found.items() if k != "extra"}


def without_seeds(value: Any) -> Any:
    """Settings without any seed."""
    if isinstance(value, dict):
        return {k: without_seeds(v) for k, v in value.items() if k != "seed"}
    return value
