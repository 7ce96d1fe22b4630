"""What a data set's table, its ablations and replicates compare, and the config that a comparison belongs
to.
"""

import hashlib

from fairgen.core.errors import FairgenError
from fairgen.core.schemas import nearest
from fairgen.core.settings import canonical
from fairgen.workflow.method_chain import (
    FREE,
    Config,
    block,
    chain,
    changes,
    dataset_block,
    extra,
    finetunes,
    owner,
    recipe,
    starts,
    synthetic,
)

# blocks that the config's hash leaves out, or takes by parts
NO_RESULT = ("datasets", "methods", "replicates", "ablations", "audit", "browse", "monitor")


def replicates(config: Config, dataset: str) -> list[str]:
    """The data sets that are whole-chain replicates of one."""
    if dataset not in config["replicates"]:
        raise FairgenError(
            f"data set {dataset} has no replicates; list at least three under replicates.{dataset} in the"
            " config"
        )
    return config["replicates"][dataset]


def ablation(config: Config, dataset: str, name: str) -> list[str]:
    """The methods that an ablation compares on a data set.

    Raises:
        FairgenError: there is no such ablation, or a method leaves no step to its recipe on this data set.
    """
    if name not in config["ablations"]:
        hint = (
            nearest(name, config["ablations"])
            if config["ablations"]
            else "list methods under ablations in the config"
        )
        raise FairgenError(f"unknown ablation '{name}'; {hint}")
    for method in config["ablations"][name]:
        recipe(config, dataset, method)
    return config["ablations"][name]


def comparison(config: Config, dataset: str, name: str | None = None) -> Config:
    """What the data set's table compares, or what the ablation `name` does at the same ratios and seeds."""
    found = {
        "dataset": dataset,
        **{k: block(config, dataset, None, k) for k in ("ratios", "compare", "seeds")},
    }
    return {**found, "compare": ablation(config, dataset, name)} if name else found


def identity(config: Config, dataset: str, name: str | None = None) -> Config:
    """What a comparison says of the config that it belongs to."""
    return {"config_sha256": config_hash(config, dataset, name), "config": effective(config, dataset, name)}


def config_hash(config: Config, dataset: str, name: str | None = None) -> str:
    """Hash of `effective`."""
    return hashlib.sha256(canonical(effective(config, dataset, name)).encode()).hexdigest()


def effective(config: Config, dataset: str, name: str | None = None) -> Config:
    """Everything in the config that can change the data set's result, or that of the ablation `name`."""
    compared = comparison(config, dataset, name)["compare"]
    used = {
        found
        for method in compared
        for start in starts(config, dataset, method)
        for found in chain(config, start)
    }
    found = deciding(config) | ({"compare": compared} if name else {})
    data = {k: v for k, v in dataset_block(config, dataset).items() if k != "gpu"}
    given = data["settings"].get("methods", {})  # which `deciding` leaves out
    data["settings"] = deciding(data["settings"])
    if own := {m: kept for m, v in given.items() if m in used and (kept := deciding(v))}:
        data["settings"]["methods"] = own
    others = sorted({other for method in used if (other := extra(config, dataset, method))})
    found |= {"extra": {other: dataset_block(config, other) for other in others}} if others else {}
    return found | {"dataset": data, "methods": {m: deciding(config["methods"][m]) for m in sorted(used)}}


def deciding(blocks: Config) -> Config:
    """Blocks of settings without those that no result depends on, and without the scorer that decides
    nothing.
    """
    found = {k: v for k, v in blocks.items() if k not in NO_RESULT}
    found = {name: given for name, given in found.items() if name not in FREE or changes(name, given)}
    for name in FREE.keys() & found.keys():
        found[name] = {k: v for k, v in found[name].items() if k not in FREE[name]}
    score = {k: v for k, v in found.get("score", {}).items() if k != "second"}
    return {**found, "score": score} if "score" in found else found


def generators(config: Config, dataset: str, methods: list[str]) -> Config:
    """What `check` looks at of every compared method that finetunes a generator, and whether it is the first
    of those that share its generators (`trains`) and its images (`draws`).
    """
    found: Config = {}
    known: dict[str, set[str]] = {"adapt": set(), "sample": set()}
    for name in methods:
        adapted, clusters = (block(config, dataset, name, stage) for stage in ("adapt", "cluster"))
        if synthetic(config, name) and finetunes(config, dataset, name):
            found[name] = {
                **{k: clusters[k] for k in ("k", "min_images")},
                **{k: adapted[k] for k in ("borrow_below", "token")},
                "per_group": block(config, dataset, name, "sample")["per_group"],
            }
            for stage, what in (("adapt", "trains"), ("sample", "draws")):
                own = owner(config, name, stage)
                found[name][what] = own not in known[stage]
                known[stage].add(own)
    return found


def by_prompt(config: Config, dataset: str, methods: list[str]) -> int:
    """How many images of a group the compared methods have the base draw as it is, once for all ratios."""
    plain = [m for m in methods if synthetic(config, m) and not finetunes(config, dataset, m)]
    each = {owner(config, m, "sample"): block(config, dataset, m, "sample")["per_group"] for m in plain}
    return sum(each.values())


def synthetic_sets(config: Config, dataset: str) -> list[Config]:
    """The synthetic sets of the table's first ratio, each once: the method that owns it, those that train on
    it, into how many clusters its groups are split, and by what the filter chose.
    """
    found: dict[str, Config] = {}
    for name in comparison(config, dataset)["compare"]:
        if synthetic(config, name):
            clusters, rule = (block(config, dataset, name, stage) for stage in ("cluster", "filter"))
            adapted = finetunes(config, dataset, name)
            about = {
                "clusters": clusters["k"] if adapted else 1,
                **{k: rule[k] for k in ("by", "threshold")},
            }
            set_ = found.setdefault(owner(config, name, "filter"), {"methods": [], **about})
            set_["methods"].append(name)
    return [{"name": name, **about} for name, about in found.items()]


def trained(config: Config, dataset: str) -> list[str]:
    """The methods whose classifiers the table needs: its own, and those that they go on from."""
    methods = comparison(config, dataset)["compare"]
    return list(dict.fromkeys(started for name in methods for started in starts(config, dataset, name)))


def pretrained(config: Config, dataset: str) -> list[str]:
    """The methods whose folders hold stage 1 of these."""
    return list(dict.fromkeys(owner(config, name, "pretrain") for name in trained(config, dataset)))


def owners(config: Config, dataset: str) -> list[str]:
    """The methods whose folders hold what the table's methods are made of: they and their bases."""
    every = trained(config, dataset)
    return list(dict.fromkeys(base for name in every for base in chain(config, name)))
