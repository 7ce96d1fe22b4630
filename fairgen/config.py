"""The config as the rules see it: validation in one line, and the table of methods that carries all sharing.

`block`, `owner` and `settings` are pure functions of the config; nothing heavy is imported here.
"""

import copy
import hashlib
from pathlib import Path
from typing import Any

from fairgen import formats, schemas
from fairgen.errors import FairgenError
from fairgen.settings import canonical

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
GENERATED = ("sample", "score", "filter", "pretrain")


def validate(config: Config, schema: Config) -> None:
    """Check the config against its JSON Schema, and what a schema cannot say.

    Raises:
        FairgenError: names the first offending key.
    """
    schemas.check(config, schema, "config")
    for ratio in config["ratios"]:
        if not 0 < ratio < 1:
            raise FairgenError(f"config: ratios: {ratio} is not between 0 and 1 (both excluded)")
    for name in config["compare"]:
        chain(config, name)
    whole = expanded(config)
    for name, data in whole["datasets"].items():
        check_groups(name, data["groups"])
        if data["format"] == "birds" and data["root"] != f"results/{name}":
            raise FairgenError(
                f"config: datasets.{name}.root: fairgen draws into results/{name}; write that instead of {data['root']}"
            )
    for name in whole["replicates"]:
        check_replicates(whole, name)


def expanded(config: Config) -> Config:
    """The config with every data set entry that says `like` merged over the entry that it names.

    Raises:
        FairgenError: the entry is unknown, or says `like` itself.
    """
    given, datasets = config["datasets"], {}
    for name, data in given.items():
        model = data.get("like")
        if model is not None and "like" in given.get(model, {"like": None}):
            raise FairgenError(f"config: datasets.{name}.like: '{model}' is no data set with a whole entry")
        datasets[name] = {k: v for k, v in merged(given[model], data).items() if k != "like"} if model else data
    return {**config, "datasets": datasets}


def check_groups(dataset: str, groups: Config) -> None:
    """Every donor is an aligned group of the same class."""
    for name, group in groups.items():
        donor = group["donor"]
        if donor is not None and (donor not in groups or groups[donor]["role"] != "aligned"):
            raise FairgenError(f"config: datasets.{dataset}.groups.{name}.donor: '{donor}' is no aligned group of this data set")
        if donor is not None and groups[donor]["target"] != group["target"]:
            raise FairgenError(f"config: datasets.{dataset}.groups.{name}.donor: '{donor}' has another target")


def check_replicates(config: Config, name: str) -> None:
    """The replicates of a data set are data sets of the same groups, and compare the same methods at the same ratios."""

    def compared(dataset: str) -> tuple[Any, ...]:
        return dataset_block(config, dataset)["groups"].keys(), *(block(config, dataset, None, k) for k in ("ratios", "compare"))

    for other in [name, *config["replicates"][name]]:
        if other not in config["datasets"]:
            raise FairgenError(f"config: replicates.{name}: unknown data set '{other}'; add an entry that says `like: {name}`")
        if compared(other) != compared(name):
            raise FairgenError(f"config: replicates.{name}: {other} has other groups, ratios or methods than {name}")


def replicates(config: Config, dataset: str) -> list[str]:
    """The data sets that are whole-chain replicates of one."""
    if dataset not in config["replicates"]:
        raise FairgenError(f"data set {dataset} has no replicates; list at least three under replicates.{dataset} in the config")
    return config["replicates"][dataset]


def dataset_block(config: Config, dataset: str) -> Config:
    """A data set's own entry."""
    if dataset not in config["datasets"]:
        raise FairgenError(f"unknown data set '{dataset}'; the config has {', '.join(config['datasets'])}")
    return config["datasets"][dataset]


def check_data(config: Config, dataset: str) -> None:
    """The data set's folder exists, unless fairgen draws it itself."""
    data = dataset_block(config, dataset)
    if data["format"] != "birds" and not Path(data["root"]).is_dir():
        layout = formats.reader(data["format"]).LAYOUT
        raise FairgenError(
            f"data set {dataset}: the folder {data['root']} does not exist; expected {layout}. Put the files there, or"
            f" point elsewhere with datasets.{dataset}.root in config.yaml"
        )


def merged(below: Config, above: Config) -> Config:
    """`above` laid over `below`, dictionaries merged key by key."""
    result = copy.copy(below)
    for key, value in above.items():
        deeper = isinstance(value, dict) and isinstance(result.get(key), dict) and key != "args"
        result[key] = merged(result[key], value) if deeper else value
    return result


def chain(config: Config, method: str) -> list[str]:
    """The method and its bases, the root last."""
    names: list[str] = []
    while method is not None:
        if method not in config["methods"]:
            raise FairgenError(f"unknown method '{method}'; the config has {', '.join(config['methods'])}")
        if method in names:
            raise FairgenError(f"config: methods.{method}.base: the chain of bases is a circle")
        names.append(method)
        method = config["methods"][method].get("base")
    return names


def block(config: Config, dataset: str, method: str | None, name: str) -> Any:
    """A block as one method sees it: top level, then the data set's settings, then each base's, then its own."""
    value = {name: config[name]}
    layers = [dataset_block(config, dataset)["settings"]]
    layers += [config["methods"][m] for m in reversed(chain(config, method))] if method else []
    for layer in layers:
        value = merged(value, {name: layer[name]} if name in layer else {})
    return value[name]


def synthetic(config: Config, method: str) -> bool:
    """Whether a method uses generated images at all."""
    return next((config["methods"][m]["synthetic"] for m in chain(config, method) if "synthetic" in config["methods"][m]), True)


def owner(config: Config, method: str, stage: str) -> str:
    """The first method in the chain of bases that changed this stage or an earlier one."""
    stages = list(CHAIN)
    watched = {name for s in stages[: stages.index(stage) + 1] for name in CHAIN[s]}
    for name in (names := chain(config, method)):
        if watched & config["methods"][name].keys():
            return name
    return names[-1]


def scope(config: Config, dataset: str, method: str, stage: str, wanted: str) -> str:
    """`any` for what no bias ratio changes (the samples of an untouched base model), else the wanted scope."""
    untouched = block(config, dataset, method, "adapt")["kind"] == "none"
    return "any" if stage in GENERATED and untouched else wanted


def chosen(values: Config, key: str = "kind") -> Config:
    """A block's kind with only that kind's sub-block in it, as `recipe`."""
    kind = values[key]
    rest = {k: v for k, v in values.items() if not isinstance(v, dict)}
    return {**rest, "recipe": values[kind]} if isinstance(values.get(kind), dict) else rest


def settings(config: Config, dataset: str, stage: str, method: str | None = None, group: str | None = None) -> str:
    """The canonical JSON that a stage's job gets: what is tracked is what is used."""
    groups = dataset_block(config, dataset)["groups"]
    own = {group: groups[group]} if group else groups

    def get(name: str) -> Any:
        return block(config, dataset, method, name)

    def of(*names: str, among: Config = groups) -> Config:
        picked = {g: {n: v[n] for n in names} for g, v in among.items()}
        return {g: v[names[0]] for g, v in picked.items()} if len(names) == 1 else picked

    classes = list(dict.fromkeys(g["target"] for g in groups.values()))
    data = dataset_block(config, dataset)
    build = {
        "draw": lambda: data["options"],
        "index": lambda: {
            **{k: data[k] for k in ("format", "root")},
            "options": {} if data["format"] == "birds" else data["options"],
            "groups": of("target", "bias"),
            **get("index"),
        },
        "split": lambda: {"groups": of("target", "role"), **get("split")},
        "embed": lambda: get("embed"),
        "prior": lambda: {"prompts": of("prompt", among=own), "base": get("diffusion"), **get("prior")},
        "cluster": lambda: get("cluster"),
        "adapt": lambda: {
            **chosen(get("adapt")),
            "base": get("diffusion"),
            "prompts": of("prompt", among=own),
            "donors": of("donor", among=own),
        },
        "sample": lambda: {
            **get("sample"),
            "token": get("adapt")["token"],
            "base": get("diffusion"),
            "prompts": of("prompt", among=own),
            "donors": of("donor", among=own),
        },
        "score": lambda: {**get("score"), "prompts": of("prompt")},
        "filter": lambda: get("filter"),
        "pretrain": lambda: {
            "recipe": {k: get("pretrain")[k] for k in ("steps", "batch", "lr", "weight_decay")},
            **{k: get("pretrain")[k] for k in ("supcon", "temperature", "projection")},
            "classifier": get("classifier"),
            "classes": classes,
            "targets": of("target"),
        },
        "finetune": lambda: {
            **chosen(get("finetune")),
            "classifier": get("classifier"),
            "classes": classes,
            "groups": list(groups),
        },
        "metrics": lambda: {"groups": of("target", "bias", "role"), "classes": classes},
        "worst_group": lambda: {**comparison(config, dataset), "config_sha256": config_hash(config, dataset)},
        "replicates": lambda: {"dataset": dataset, "replicates": replicates(config, dataset)},
        "figures": lambda: {**comparison(config, dataset), "groups": list(groups)},
    }
    return canonical({**build[stage](), "threads": config["threads"]})


def comparison(config: Config, dataset: str) -> Config:
    """What the data set's table compares."""
    return {"dataset": dataset, **{k: block(config, dataset, None, k) for k in ("ratios", "compare", "seeds")}}


def config_hash(config: Config, dataset: str) -> str:
    """Hash of everything in the config that can change this data set's result."""
    used = {name for method in config["compare"] for name in chain(config, method)}
    effective = {k: v for k, v in config.items() if k not in ("datasets", "methods", "replicates")}
    effective |= {"dataset": dataset_block(config, dataset), "methods": {m: config["methods"][m] for m in sorted(used)}}
    return hashlib.sha256(canonical(effective).encode()).hexdigest()
