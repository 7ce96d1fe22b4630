"""The config as the rules see it: validation in one line, and the settings that each stage's jobs get.

Pure functions of the config; nothing heavy is imported here.
"""

import hashlib
from math import prod
from pathlib import Path
from typing import Any

from fairgen import formats
from fairgen.blocks import SECOND, Config, block, chain, chosen, dataset_block, recipe, starts, synthetic
from fairgen.errors import FairgenError
from fairgen.settings import canonical


def validate(config: Config, schema: Config) -> None:
    """Check the config against its JSON Schema.

    Raises:
        FairgenError: names the first offending key.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(schema).iter_errors(config))
    if error is not None:
        where = ".".join(str(part) for part in error.absolute_path) or "the top level"
        raise FairgenError(f"config: {where}: {error.message}")
    for name, data in config["datasets"].items():
        check_groups(name, data["groups"])
        for method in config["methods"]:
            check_start(config, name, method)
        for method in comparison(config, name)["compare"]:
            recipe(config, name, method)


def check_groups(dataset: str, groups: Config) -> None:
    """Every donor is an aligned group of the same class."""
    for name, group in groups.items():
        donor = group["donor"]
        if donor is not None and (donor not in groups or groups[donor]["role"] != "aligned"):
            raise FairgenError(f"config: datasets.{dataset}.groups.{name}.donor: '{donor}' is no aligned group of this data set")
        if donor is not None and groups[donor]["target"] != group["target"]:
            raise FairgenError(f"config: datasets.{dataset}.groups.{name}.donor: '{donor}' has another target")


def check_start(config: Config, dataset: str, method: str) -> None:
    """A method's recipe has what it starts from: synthetic images, stage-1 weights, or a finished model of the same network."""
    found, drawn = block(config, dataset, method, "finetune"), synthetic(config, method)
    kind, where = found["kind"], f"config: methods.{method}.finetune"
    for start in starts(config, dataset, method)[1:]:
        if drawn:
            raise FairgenError(
                f"{where}.start: {method} uses synthetic images and cannot start from {start} too;"
                " set synthetic: false or start: null"
            )
        if block(config, dataset, start, "classifier") != block(config, dataset, method, "classifier"):
            raise FairgenError(
                f"{where}.start: {start} has other classifier settings than {method} on {dataset}; make them equal"
            )
    if kind == "augment" and not drawn:
        raise FairgenError(f"{where}.kind: augment mixes in synthetic images; leave out synthetic: false")
    if kind in SECOND and not drawn and found["start"] is None:
        raise FairgenError(
            f"{where}.kind: {kind} goes on from trained weights; name a method in start, or leave out synthetic: false"
        )


def check_data(config: Config, dataset: str) -> None:
    """The data set's folder exists, unless fairgen draws it itself."""
    data = dataset_block(config, dataset)
    if data["format"] != "birds" and not Path(data["root"]).is_dir():
        layout = formats.reader(data["format"]).LAYOUT
        raise FairgenError(
            f"data set {dataset}: the folder {data['root']} does not exist; expected {layout}. Put the files there, or"
            f" point elsewhere with datasets.{dataset}.root in config.yaml"
        )


def attributes(given: Any) -> list[Config]:
    """An attribute of the data or a list of them, its words as text."""
    listed = given if isinstance(given, list) else [given]
    words = [{n: [str(w) for w in v] for n, v in one.get("values", {}).items()} for one in listed]
    return [{**one, "values": v} if v else one for one, v in zip(listed, words, strict=True)]


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
            "dataset": dataset,
            **{k: data[k] for k in ("format", "root")},
            "options": {} if data["format"] == "birds" else data["options"],
            **{k: attributes(data[k]) for k in ("target", "bias")},
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
            **recipe(config, dataset, method),
            "classifier": get("classifier"),
            "classes": classes,
            "targets": of("target"),
            "groups": list(groups),
        },
        "metrics": lambda: {"groups": list(groups)},
        "worst_group": lambda: {**comparison(config, dataset), "config_sha256": config_hash(config, dataset)},
        "figures": lambda: {**comparison(config, dataset), "groups": list(groups)},
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


def comparison(config: Config, dataset: str) -> Config:
    """What the data set's table compares."""
    return {"dataset": dataset, **{k: block(config, dataset, None, k) for k in ("ratios", "compare", "seeds")}}


def config_hash(config: Config, dataset: str) -> str:
    """Hash of everything in the config that can change this data set's result."""
    compared = comparison(config, dataset)["compare"]
    used = {name for method in compared for start in starts(config, dataset, method) for name in chain(config, start)}
    effective = {k: v for k, v in config.items() if k not in ("datasets", "methods")}
    effective |= {"dataset": dataset_block(config, dataset), "methods": {m: config["methods"][m] for m in sorted(used)}}
    return hashlib.sha256(canonical(effective).encode()).hexdigest()
