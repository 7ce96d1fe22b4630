"""The config as the rules see it: the settings that each stage's jobs get.

Pure functions of the config; nothing heavy is imported here.
"""

import hashlib
import os
from math import prod
from typing import Any, cast

from fairgen.core.errors import FairgenError
from fairgen.core.schemas import nearest
from fairgen.core.settings import canonical
from fairgen.workflow.method_chain import Config, block, chain, chosen, dataset_block, extra, merged, recipe, starts, synthetic

# blocks that the config's hash leaves out, or takes by parts
NO_RESULT = ("datasets", "methods", "replicates", "ablations", "audit")


def expanded(config: Config) -> Config:
    """The config with every data set entry that says `like` merged over the entry that it names, and `~` as the home folder.

    Raises:
        FairgenError: that entry is unknown, or says `like` itself.
    """
    config = at_home(config)
    given: Any = config.get("datasets")
    datasets = {}
    for name, data in given.items() if isinstance(given, dict) else ():
        model = data.get("like") if isinstance(data, dict) else None
        whole = given.get(model) if isinstance(model, str) else None
        if model is not None and (not isinstance(whole, dict) or "like" in whole):
            raise FairgenError(f"config: datasets.{name}.like: '{model}' is no data set with a whole entry; name one that has")
        datasets[name] = {k: v for k, v in merged(given[model], data).items() if k != "like"} if model else data
    return {**config, "datasets": datasets} if datasets else config


def at_home(value: Any) -> Any:
    """A value with every text that begins with `~/` as the path that a shell makes of it."""
    if isinstance(value, dict):
        return {k: at_home(v) for k, v in value.items()}
    if isinstance(value, list):
        return [at_home(v) for v in value]
    return os.path.expanduser(value) if isinstance(value, str) and value.startswith("~/") else value


def replicates(config: Config, dataset: str) -> list[str]:
    """The data sets that are whole-chain replicates of one."""
    if dataset not in config["replicates"]:
        raise FairgenError(f"data set {dataset} has no replicates; list at least three under replicates.{dataset} in the config")
    return config["replicates"][dataset]


def ablation(config: Config, dataset: str, name: str) -> list[str]:
    """The methods that an ablation compares on a data set.

    Raises:
        FairgenError: there is no such ablation, or a method leaves no step to its recipe on this data set.
    """
    if name not in config["ablations"]:
        hint = nearest(name, config["ablations"]) if config["ablations"] else "list methods under ablations in the config"
        raise FairgenError(f"unknown ablation '{name}'; {hint}")
    for method in config["ablations"][name]:
        recipe(config, dataset, method)
    return config["ablations"][name]


def attributes(given: Any) -> list[Config]:
    """An attribute of the data or a list of them, its words as text."""
    listed = given if isinstance(given, list) else [given]
    words = [{n: [str(w) for w in v] for n, v in one.get("values", {}).items()} for one in listed]
    return [{**one, "values": v} if v else one for one, v in zip(listed, words, strict=True)]


def drawing(sample: Config, adapted: bool) -> Config:
    """The `sample` block with one guidance: the base's, or that of finetuned generators."""
    rest = {k: v for k, v in sample.items() if k != "guidance_adapted"}
    return merged(rest, {"solver": {"guidance": sample["guidance_adapted"]}}) if adapted else rest


def network(classifier: Config) -> Config:
    """The `classifier` block as what the network is, which its weights carry with them, and how it is trained."""
    rest = {k: v for k, v in classifier.items() if k != "precision"}
    return {"classifier": rest, "precision": classifier["precision"]}


def stage_one_groups(config: Config, dataset: str, method: str) -> Config:
    """The groups of the images that stage 1 sees: the data set's, or those of another one of the same classes.

    Raises:
        FairgenError: that data set is unknown, or has other classes.
    """
    own, name = dataset_block(config, dataset)["groups"], extra(config, dataset, method)
    if not name:
        return own
    found = dataset_block(config, name)["groups"]
    if {g["target"] for g in found.values()} != {g["target"] for g in own.values()}:
        raise FairgenError(f"config: methods.{method}.pretrain.extra: {name} has other classes than {dataset}")
    return found


def settings(
    config: Config, dataset: str, stage: str, method: str | None = None, group: str | None = None, ablation: str | None = None
) -> str:
    """The canonical JSON that a stage's job gets: what is tracked is what is used."""
    groups = dataset_block(config, dataset)["groups"]
    own = {group: groups[group]} if group else groups

    def get(name: str) -> Any:
        return block(config, dataset, method, name)

    def of(*names: str, among: Config = groups) -> Config:
        picked = {g: {n: v[n] for n in names} for g, v in among.items()}
        return {g: v[names[0]] for g, v in picked.items()} if len(names) == 1 else picked

    def adapt() -> Config:
        recipe = {k: v for k, v in chosen(get("adapt")).items() if k != "shared"}  # which of the two stages runs
        return {**recipe, "base": get("diffusion"), "prompts": of("prompt", among=own), "donors": of("donor", among=own)}

    classes = list(dict.fromkeys(g["target"] for g in groups.values()))
    data = dataset_block(config, dataset)
    trained = cast("str", method)  # stages that train a classifier have one
    other = extra(config, dataset, trained) if method else None
    build = {
        "draw": lambda: data["options"],
        "index": lambda: {
            "dataset": dataset,
            **{k: data[k] for k in ("format", "root")},
            "options": {} if data["format"] == "birds" else data["options"],
            **{k: attributes(data[k]) for k in ("target", "bias")},
            "groups": of("target", "bias"),
            **get("index"),
        },
        "decode": lambda: {},
        "split": lambda: {"groups": of("target", "role"), **get("split")},
        "embed": lambda: get("embed"),
        "prior": lambda: {"prompts": of("prompt", among=own), "base": get("diffusion"), **get("prior")},
        "cluster": lambda: get("cluster"),
        "adapt": adapt,
        "adapt_shared": adapt,
        "sample": lambda: {
            **drawing(get("sample"), get("adapt")["kind"] != "none"),
            "token": get("adapt")["token"],
            "base": get("diffusion"),
            "prompts": of("prompt", among=own),
            "donors": of("donor", among=own),
        },
        "score": lambda: {**get("score"), "prompts": of("prompt")},
        "filter": lambda: get("filter"),
        "audit": lambda: {
            **get("audit"),
            **{"clip": get("score")["model"], **get("embed"), "groups": list(groups)},
            "card": {"dataset": dataset, "seed": get("sample")["seed"], "filter": get("filter")},
        },
        "audit_synthetic": lambda: {"dataset": dataset},
        "pretrain": lambda: {
            "extra": other,
            "near": min(block(config, name, None, "index")["near"] for name in (dataset, other)) if other else 0,
            "recipe": {k: get("pretrain")[k] for k in ("steps", "batch", "lr", "weight_decay")},
            **{k: get("pretrain")[k] for k in ("supcon", "temperature", "projection", "weights")},
            **network(get("classifier")),
            "classes": classes,
            "targets": of("target", among=stage_one_groups(config, dataset, trained)),
        },
        "finetune": lambda: {
            **recipe(config, dataset, trained),
            **network(get("classifier")),
            "classes": classes,
            "targets": of("target"),
            "groups": list(groups),
        },
        "metrics": lambda: {"groups": of("target", "bias", "role"), "classes": classes},
        "worst_group": lambda: {**comparison(config, dataset), **identity(config, dataset)},
        "ablation": lambda: {
            "name": ablation,
            "table": {**comparison(config, dataset, ablation), **identity(config, dataset, ablation)},
        },
        "replicates": lambda: {"dataset": dataset, "replicates": replicates(config, dataset)},
        "figures": lambda: {**comparison(config, dataset), "groups": list(groups)},
        "pages": lambda: {"dataset": dataset},
        "check": lambda: {
            "dataset": dataset,
            "ratios": comparison(config, dataset)["ratios"],
            "prompts": of("prompt"),
            "donors": of("donor"),
            "base": get("diffusion"),
            "generators": generators(config, dataset),
            "classifiers": prod(len(comparison(config, dataset)[k]) for k in ("ratios", "compare", "seeds")),
        },
    }
    return canonical({**build[stage](), "threads": config["threads"]})


def generators(config: Config, dataset: str) -> Config:
    """What `check` looks at of every compared method that finetunes a generator."""
    found = {}
    for name in comparison(config, dataset)["compare"]:
        adapt, cluster = (block(config, dataset, name, stage) for stage in ("adapt", "cluster"))
        if synthetic(config, name) and adapt["kind"] != "none":
            found[name] = {
                **{k: cluster[k] for k in ("k", "min_images")},
                **{k: adapt[k] for k in ("borrow_below", "token")},
                "per_group": block(config, dataset, name, "sample")["per_group"],
            }
    return found


def comparison(config: Config, dataset: str, name: str | None = None) -> Config:
    """What the data set's table compares, or what the ablation `name` does at the same ratios and seeds."""
    found = {"dataset": dataset, **{k: block(config, dataset, None, k) for k in ("ratios", "compare", "seeds")}}
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
    used = {found for method in compared for start in starts(config, dataset, method) for found in chain(config, start)}
    found = {k: v for k, v in config.items() if k not in NO_RESULT} | ({"compare": compared} if name else {})
    data = {k: v for k, v in dataset_block(config, dataset).items() if k != "gpu"}
    data["settings"] = {k: v for k, v in data["settings"].items() if k not in NO_RESULT}
    others = {other for method in used if (other := extra(config, dataset, method))}
    found |= {"extra": {other: dataset_block(config, other) for other in others}} if others else {}
    return found | {"dataset": data, "methods": {m: config["methods"][m] for m in sorted(used)}}
