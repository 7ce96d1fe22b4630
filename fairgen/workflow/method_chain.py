"""The table of methods, which carries all sharing: the settings that a method sees, and who owns an artifact.

A method is a chain of settings with an optional base. An artifact belongs to the first method in the chain
that changed its stage or an earlier one. Pure functions of the config.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fairgen.core.errors import FairgenError
from fairgen.core.schemas import nearest

Config = dict[str, Any]

# The chain of stages that depend on a method, with the config blocks that each one reads.
CHAIN = {
    "cluster": ("cluster",),
    "adapt": ("adapt",),
    "sample": ("sample",),
    "score": ("score",),
    "filter": ("filter",),
    "pretrain": ("pretrain", "classifier"),
    "finetune": ("finetune", "classifier"),
}
# keys of a block that change no result: a method that sets nothing else owns nothing
FREE = {"adapt": {"process"}}
ON_ONE_SCALE = ("probability", "quantile")  # kinds of score that mean the same of every scorer
# recipes that go on from trained weights; the others count their steps from the very start
SECOND = ("head", "ffr", "dfr", "none")


def dataset_block(config: Config, dataset: str) -> Config:
    """A data set's own entry."""
    if dataset not in config["datasets"]:
        known = nearest(dataset, config["datasets"])
        told = "" if known.startswith("did you") else "; an entry in a file of your own takes --configfile"
        raise FairgenError(f"unknown data set '{dataset}'; {known}{told}")
    return config["datasets"][dataset]


@dataclass(frozen=True)
class OfDataset:
    """A data set of a config, for what is asked of it."""

    config: Config
    dataset: str

    @property
    def data(self) -> Config:
        """The data set's entry."""
        return dataset_block(self.config, self.dataset)

    @property
    def groups(self) -> Config:
        """The data set's groups, in the config's order."""
        return self.data["groups"]


def merged(below: Config, above: Config) -> Config:
    """`above` laid over `below`, dictionaries merged key by key."""
    result = copy.copy(below)
    for key, value in above.items():
        deeper = isinstance(value, dict) and isinstance(result.get(key), dict) and key != "args"
        result[key] = merged(result[key], value) if deeper else value
    return result


def follow(config: Config, method: str, key: str, after: Callable[[str], str | None]) -> list[str]:
    """The method and those that `after` leads to, one after the other; `key` is the setting that names them.

    Raises:
        FairgenError: a method is unknown, or the chain is a circle.
    """
    names: list[str] = []
    at: str | None = method
    while at is not None:
        where = f"config: methods.{names[-1]}.{key}: " if names else ""
        if at not in config["methods"]:
            raise FairgenError(f"{where}unknown method '{at}'; {nearest(at, config['methods'])}")
        if at in names:
            circle = names[names.index(at) :]  # told from the same method on, wherever it was entered
            first = min(range(len(circle)), key=lambda i: list(config["methods"]).index(circle[i]))
            circle = [*circle[first:], *circle[:first]]
            raise FairgenError(
                f"config: methods.{circle[-1]}.{key}: the chain {' → '.join([*circle, circle[0]])} is a"
                " circle; break it here"
            )
        names.append(at)
        at = after(at)
    return names


def chain(config: Config, method: str) -> list[str]:
    """The method and its bases, the root last."""
    return follow(config, method, "base", lambda name: config["methods"][name].get("base"))


def starts(config: Config, dataset: str, method: str) -> list[str]:
    """The method and those whose finished models it goes on from, the first to be trained last."""
    return follow(
        config, method, "finetune.start", lambda name: block(config, dataset, name, "finetune")["start"]
    )


def block(config: Config, dataset: str, method: str | None, name: str) -> Any:
    """A block as one method sees it: top level, then the data set's settings, then each base's, then its own;
    what the data set's settings say of a method goes over what the method says.
    """
    value = {name: config[name]}
    given = dataset_block(config, dataset)["settings"]
    layers = [given]
    for m in reversed(chain(config, method)) if method else ():
        layers += [config["methods"][m], given.get("methods", {}).get(m, {})]
    for layer in layers:
        value = merged(value, {name: layer[name]} if name in layer else {})
    return value[name]


def synthetic(config: Config, method: str) -> bool:
    """Whether a method uses generated images at all."""
    return next(
        (
            config["methods"][m]["synthetic"]
            for m in chain(config, method)
            if "synthetic" in config["methods"][m]
        ),
        True,
    )


def finetunes(config: Config, dataset: str, method: str) -> bool:
    """Whether a method's recipe finetunes the base, if it generates at all."""
    return block(config, dataset, method, "adapt")["kind"] != "none"


def second_scorer(config: Config, dataset: str, method: str) -> str | None:
    """The model that scores a method's samples beside the one that filters them; None where none is named, or
    the filter's rule means nothing to another model: raw cosines of two are not on one scale, and at random
    none is asked.
    """
    telling = block(config, dataset, method, "filter")["by"] in ON_ONE_SCALE
    found: str | None = block(config, dataset, method, "score")["second"]
    return found if telling else None


def preserves_prior(config: Config, dataset: str, method: str) -> bool:
    """Whether that finetuning keeps to class images of the base."""
    found = block(config, dataset, method, "adapt")
    return found["kind"] != "none" and found[found["kind"]]["prior_weight"] > 0


def may_borrow(config: Config, dataset: str, method: str) -> bool:
    """Whether groups with few images are sampled from generators of others."""
    found = block(config, dataset, method, "adapt")
    return found["kind"] != "none" and found["borrow_below"] > 0


def mixes(config: Config, dataset: str, method: str) -> bool:
    """Whether a method's recipe trains on real and synthetic images together, without stage 1."""
    return block(config, dataset, method, "finetune")["kind"] == "augment"


def extra(config: Config, dataset: str, method: str) -> str | None:
    """The data set whose images stage 1 takes instead of generated ones."""
    return None if synthetic(config, method) else block(config, dataset, method, "pretrain")["extra"]


def stage_one(config: Config, dataset: str, method: str) -> bool:
    """Whether a method starts from stage-1 weights."""
    drawn = synthetic(config, method) and not mixes(config, dataset, method)
    return drawn or extra(config, dataset, method) is not None


def owner(config: Config, method: str, stage: str) -> str:
    """The first method in the chain of bases that changed this stage or an earlier one."""
    names = chain(config, method)
    return next((name for name in names if differs(config, name, stage)), names[-1])


def differs(config: Config, method: str, stage: str) -> bool:
    """Whether a method itself changes this stage or an earlier one: it shares neither with its base."""
    stages = list(CHAIN)
    watched = {name for s in stages[: stages.index(stage) + 1] for name in CHAIN[s]}
    given = config["methods"][method]
    return any(changes(block, given[block]) for block in watched & given.keys())


def stage_of(block: str) -> str | None:
    """The stage of a method's chain that first uses a block; None of one that no stage uses."""
    return next((stage for stage, blocks in CHAIN.items() if block in blocks), None)


def changes(name: str, given: Config) -> bool:
    """Whether what is given for a block can change a result."""
    return not given or bool(given.keys() - FREE.get(name, set()))


def chosen(values: Config, key: str = "kind") -> Config:
    """A block's kind with only that kind's sub-block in it, as `recipe`."""
    kind = values[key]
    rest = {k: v for k, v in values.items() if not isinstance(v, dict)}
    return {**rest, "recipe": values[kind]} if isinstance(values.get(kind), dict) else rest


def recipe(config: Config, dataset: str, method: str) -> Config:
    """The method's `finetune` block; after stage 1, or another method that it starts from, a recipe that
    counts from the very start keeps the steps that are left.

    Raises:
        FairgenError: no step is left.
    """
    found = chosen(block(config, dataset, method, "finetune"))
    spent = behind(config, dataset, method)
    if found["kind"] in SECOND or not spent:
        return found
    steps = steps_of(found)
    total = sum(steps.values())
    left = total - spent
    if left < len(steps):
        stage = f"stage 1 of {method} takes pretrain.steps ="
        before = f"what {method} starts from, {found['start']}, takes" if found["start"] else stage
        raise FairgenError(
            f"config: finetune.{found['kind']}.steps: {before} {spent} of the {total} steps of"
            f" {found['kind']} on {dataset} and leaves too few; raise it"
        )
    scaled = {key: max(1, n * left // total) for key, n in steps.items()}
    scaled["steps"] += left - sum(scaled.values())
    return {**found, "recipe": {**found["recipe"], **scaled}}


def behind(config: Config, dataset: str, method: str) -> int:
    """Gradient steps that a method's recipe finds behind the weights that it goes on from."""
    if stage_one(config, dataset, method):
        return int(block(config, dataset, method, "pretrain")["steps"])
    _, *before = starts(config, dataset, method)  # a circle of them is told here
    if not before:
        return 0
    return behind(config, dataset, before[0]) + sum(steps_of(recipe(config, dataset, before[0])).values())


def steps_of(found: Config) -> Config:
    """The gradient steps of a chosen recipe by their keys; of one that takes none, nothing."""
    return {key: found["recipe"][key] for key in ("identify_steps", "steps") if key in found["recipe"]}
