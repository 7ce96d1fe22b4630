"""The config checked before any job: against its schema, and for what a schema cannot say. Each mistake is one line."""

from pathlib import Path
from typing import Any

from fairgen import formats, labels, schemas
from fairgen.blocks import SECOND, Config, block, dataset_block, recipe, stage_one, starts, synthetic
from fairgen.config import attributes, comparison, expanded
from fairgen.errors import FairgenError
from fairgen.models import check_moved, single_file


def validate(config: Config, schema: Config) -> None:
    """Check the config against its JSON Schema, and what a schema cannot say.

    Raises:
        FairgenError: names the first offending key.
    """
    whole = expanded(config)
    schemas.check(whole, schema, "config")
    for name, data in whole["datasets"].items():
        check_groups(name, data["groups"])
        check_labels(whole, name)
        if data["format"] == "birds" and data["root"] != f"results/{name}":
            raise FairgenError(
                f"config: datasets.{name}.root: fairgen draws into results/{name}; write that instead of {data['root']}"
            )
        for method in whole["methods"]:
            check_start(whole, name, method)
            check_weights(whole, name, method)
            check_extra(whole, name, method)
            check_shared(whole, name, method)
        for method in comparison(whole, name)["compare"]:
            recipe(whole, name, method)
    for name in whole["replicates"]:
        check_replicates(whole, name)
    for name, methods in whole["ablations"].items():
        for method in methods:
            if method not in whole["methods"]:
                raise FairgenError(
                    f"config: ablations.{name}: unknown method '{method}'; the config has {', '.join(whole['methods'])}"
                )


def check_groups(dataset: str, groups: Config) -> None:
    """Every donor is an aligned group of the same class."""
    for name, group in groups.items():
        donor = group["donor"]
        if donor is not None and (donor not in groups or groups[donor]["role"] != "aligned"):
            raise FairgenError(f"config: datasets.{dataset}.groups.{name}.donor: '{donor}' is no aligned group of this data set")
        if donor is not None and groups[donor]["target"] != group["target"]:
            raise FairgenError(f"config: datasets.{dataset}.groups.{name}.donor: '{donor}' has another target")


def check_labels(config: Config, dataset: str) -> None:
    """Each word of the data has one name, the fractions of the split are all of it, and what is left out can be found."""
    data, index = dataset_block(config, dataset), block(config, dataset, None, "index")
    for part in ("target", "bias"):
        listed = attributes(data[part])
        labels.check(listed, f"datasets.{dataset}.{part}")
        for name, group in data["groups"].items():
            labels.check_group(listed, group[part], f"datasets.{dataset}.groups.{name}.{part}")
    labels.check_fractions(index["fractions"], f"index.fractions of {dataset}")
    if index["conflicts"] == "drop_near" and not index["near"]:
        raise FairgenError(f"config: index.conflicts of {dataset}: drop_near needs index.near above 0, or write drop")


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
    if kind in SECOND and not stage_one(config, dataset, method) and found["start"] is None:
        raise FairgenError(
            f"{where}.kind: {kind} goes on from trained weights; name a method in start, or leave out synthetic: false"
        )


def check_weights(config: Config, dataset: str, method: str) -> None:
    """Scores that weigh images are CLIP's."""
    weights, by = block(config, dataset, method, "pretrain")["weights"], block(config, dataset, method, "filter")["by"]
    if (weights, by) == ("score", "random"):
        raise FairgenError(
            f"config: methods.{method}.pretrain.weights: the scores of filter.by: random say nothing about an image;"
            f" choose another filter.by for {method}, or weights: none"
        )


def check_extra(config: Config, dataset: str, method: str) -> None:
    """Stage 1 on another data set's images takes the place of generators, and of a finished model."""
    found, where = block(config, dataset, method, "pretrain")["extra"], f"config: methods.{method}"
    if found is None:
        return
    if found not in config["datasets"]:
        raise FairgenError(f"{where}.pretrain.extra: unknown data set '{found}'; the config has {', '.join(config['datasets'])}")
    if synthetic(config, method):
        raise FairgenError(f"{where}.pretrain.extra: {method} uses synthetic images already; set synthetic: false or extra: null")
    if block(config, dataset, method, "finetune")["start"] is not None:
        raise FairgenError(f"{where}.finetune.start: {method} starts from pretrain.extra; set one of them to null")


def check_shared(config: Config, dataset: str, method: str) -> None:
    """A shared batch is for plain LoRA adapters, and its optimizer takes each number apart from the others."""
    found = block(config, dataset, method, "adapt")
    if not found["shared"] or found["kind"] == "none":
        return
    lora = found["lora"]
    refused = {"kind: full": found["kind"] == "full", "lora.dora: true": lora["dora"]}
    refused["lora.optimizer: adamw8bit"] = lora["optimizer"] == "adamw8bit"  # its blocks would mix adapters
    refused["lora.text_lr"] = lora["text_lr"] > 0
    for why in (name for name, there in refused.items() if there):
        raise FairgenError(
            f"config: methods.{method}.adapt.shared: a shared batch trains plain LoRA with adamw, but {method} has {why} on"
            f" {dataset}; set shared: false there"
        )


def check_replicates(config: Config, name: str) -> None:
    """The replicates of a data set are data sets of the same groups, and compare the same methods at the same ratios."""

    def compared(dataset: str) -> tuple[Any, ...]:
        return dataset_block(config, dataset)["groups"].keys(), *(block(config, dataset, None, k) for k in ("ratios", "compare"))

    for other in [name, *config["replicates"][name]]:
        if other not in config["datasets"]:
            raise FairgenError(f"config: replicates.{name}: unknown data set '{other}'; add an entry that says `like: {name}`")
        if compared(other) != compared(name):
            raise FairgenError(f"config: replicates.{name}: {other} has other groups, ratios or methods than {name}")


def check_data(config: Config, dataset: str) -> None:
    """The data set's folder exists, unless fairgen draws it itself; the base has not moved, and local files are there."""
    data, base = dataset_block(config, dataset), block(config, dataset, None, "diffusion")
    check_moved(base["model"], "diffusion.model")
    if single_file.is_one(base["model"]):
        single_file.config_folder(base["model"], base["config"])
    if data["format"] != "birds" and not Path(data["root"]).is_dir():
        layout = formats.reader(data["format"]).LAYOUT
        raise FairgenError(
            f"data set {dataset}: the folder {data['root']} does not exist; expected {layout}. Put the files there, or"
            f" point elsewhere with datasets.{dataset}.root in config.yaml"
        )
    for method in comparison(config, dataset)["compare"]:
        start = block(config, dataset, method, "classifier")["pretrained"]
        if isinstance(start, str) and not Path(start).is_file():
            raise FairgenError(f"config: classifier.pretrained: no file {start} for {method} on {dataset}; give a file, or true")
