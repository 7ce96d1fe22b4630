"""What a schema cannot say of a config: each check takes what it looks at and raises one line for each
mistake.
"""

import os

from fairgen.core import schemas
from fairgen.core.errors import FairgenError
from fairgen.data import labels
from fairgen.workflow.group_checks import tell
from fairgen.workflow.job_settings import attributes
from fairgen.workflow.method_chain import (
    SECOND,
    Config,
    block,
    dataset_block,
    differs,
    stage_of,
    stage_one,
    starts,
    synthetic,
)


def check_compare(config: Config, dataset: str) -> None:
    """The compared methods are known."""
    own = "compare" in config["datasets"][dataset]["settings"]
    where = f"datasets.{dataset}.settings.compare" if own else "compare"
    check_methods(config, block(config, dataset, None, "compare"), where)


def check_methods(config: Config, listed: list[str], key: str) -> None:
    """The methods of a list are known."""
    known = config["methods"]
    tell(
        [
            f"config: {key}: unknown method '{m}'; {schemas.nearest(m, known)}"
            for m in listed
            if m not in known
        ]
    )


def check_overrides(config: Config, dataset: str) -> None:
    """What a data set says of a method is in blocks that the method changes, or that come after one, so that
    what it shares with its base stays shared.
    """
    key = f"datasets.{dataset}.settings.methods"
    given = config["datasets"][dataset]["settings"].get("methods", {})
    check_methods(config, list(given), key)
    found = []
    for method, name in ((method, name) for method, blocks in given.items() for name in blocks):
        stage, where = stage_of(name), f"config: {key}.{method}.{name}"
        if not stage:
            found.append(f"{where}: no data set can say that of a method; make a method of its own")
        elif not differs(config, method, stage):
            found.append(
                f"{where}: methods.{method} changes neither {name} nor what comes before, so it shares its"
                f" {stage} with others; write it under datasets.{dataset}.settings, or make a method of its"
                " own"
            )
    tell(found)


def check_root(dataset: str, data: Config) -> None:
    """fairgen's own drawings lie in one place."""
    if data["format"] == "birds" and os.path.normpath(data["root"]) != f"results/{dataset}":
        raise FairgenError(
            f"config: datasets.{dataset}.root: fairgen draws into results/{dataset}; write that instead of"
            f" {data['root']}"
        )


def check_drawings(dataset: str, data: Config) -> None:
    """Drawings of the base's own world have no second test set."""
    if data["format"] == "birds" and data["options"]["stream"] == "world" and data["options"]["shift"]:
        raise FairgenError(
            f"config: datasets.{dataset}.options.shift: drawings of stream: world have no second test set;"
            " set shift: 0"
        )


def check_labels(config: Config, dataset: str) -> None:
    """Each word of the data has one name, the fractions of the split are all of it, and what is left out can
    be found.
    """
    data, index = dataset_block(config, dataset), block(config, dataset, None, "index")
    for part in ("target", "bias"):
        listed = attributes(data[part])
        labels.check(listed, f"datasets.{dataset}.{part}")
        for name, group in data["groups"].items():
            labels.check_group(listed, group[part], f"datasets.{dataset}.groups.{name}.{part}")
    labels.check_fractions(index["fractions"], f"index.fractions of {dataset}")
    if index["conflicts"] == "drop_near" and not index["near"]:
        raise FairgenError(
            f"config: index.conflicts of {dataset}: drop_near needs index.near above 0, or write drop"
        )


def check_start(config: Config, dataset: str, method: str) -> None:
    """A method's recipe has what it starts from: synthetic images, stage-1 weights, or a finished model of
    the same network.
    """
    found, drawn = block(config, dataset, method, "finetune"), synthetic(config, method)
    kind, where = found["kind"], f"config: methods.{method}.finetune"
    for start in starts(config, dataset, method)[1:]:
        if drawn:
            raise FairgenError(
                f"{where}.start: {method} uses synthetic images and cannot start from {start} too; set"
                " synthetic: false or start: null"
            )
        if block(config, dataset, start, "classifier") != block(config, dataset, method, "classifier"):
            raise FairgenError(
                f"{where}.start: {start} has other classifier settings than {method} on {dataset}; make them"
                " equal"
            )
    if kind == "augment" and not drawn:
        raise FairgenError(f"{where}.kind: augment mixes in synthetic images; leave out synthetic: false")
    if kind in SECOND and not stage_one(config, dataset, method) and found["start"] is None:
        raise FairgenError(
            f"{where}.kind: {kind} goes on from trained weights; name a method in start, or leave out"
            " synthetic: false"
        )


def check_weights(config: Config, dataset: str, method: str) -> None:
    """Scores that weigh images are CLIP's, and above 0."""
    weights, rule = (
        block(config, dataset, method, "pretrain")["weights"],
        block(config, dataset, method, "filter"),
    )
    if (weights, rule["by"]) == ("score", "cosine") and rule["threshold"] <= 0:
        raise FairgenError(
            f"config: methods.{method}.pretrain.weights: images that filter.by: cosine accepts from"
            f" {rule['threshold']:g} on may have scores of 0 and less, which are no weights; set"
            " filter.threshold above 0, or weights: none"
        )
    if (weights, rule["by"]) == ("score", "random"):
        raise FairgenError(
            f"config: methods.{method}.pretrain.weights: the scores of filter.by: random say nothing about"
            f" an image; choose another filter.by for {method}, or weights: none"
        )


def check_extra(config: Config, dataset: str, method: str) -> None:
    """Stage 1 on another data set's images takes the place of generators, and of a finished model."""
    found, where = block(config, dataset, method, "pretrain")["extra"], f"config: methods.{method}"
    if found is None:
        return
    if found not in config["datasets"]:
        raise FairgenError(
            f"{where}.pretrain.extra: unknown data set '{found}';"
            f" {schemas.nearest(found, config['datasets'])}"
        )
    if synthetic(config, method):
        raise FairgenError(
            f"{where}.pretrain.extra: {method} uses synthetic images already; set synthetic: false or extra:"
            " null"
        )
    if block(config, dataset, method, "finetune")["start"] is not None:
        raise FairgenError(
            f"{where}.finetune.start: {method} starts from pretrain.extra; set one of them to null"
        )


def check_shared(config: Config, dataset: str, method: str) -> None:
    """A shared batch is for plain LoRA adapters, and its optimizer takes each number apart from the
    others.
    """
    found = block(config, dataset, method, "adapt")
    if not found["shared"] or found["kind"] == "none":
        return
    lora = found["lora"]
    refused = {"kind: full": found["kind"] == "full", "lora.dora: true": lora["dora"]}
    refused["lora.optimizer: adamw8bit"] = lora["optimizer"] == "adamw8bit"  # its blocks would mix adapters
    refused["lora.text_lr"] = lora["text_lr"] > 0
    for why in (name for name, there in refused.items() if there):
        raise FairgenError(
            f"config: methods.{method}.adapt.shared: a shared batch trains plain LoRA with adamw, but"
            f" {method} has {why} on {dataset}; set shared: false there"
        )


def check_interval(config: Config, dataset: str, method: str) -> None:
    """An interval of guidance begins before it ends."""
    for name in ("sample", "prior"):
        low, high = block(config, dataset, method, name)["solver"]["guidance_interval"]
        if low >= high:
            raise FairgenError(
                f"config: {name}.solver.guidance_interval: [{low}, {high}], for {method} on {dataset}, has"
                " nothing in it; give the cleaner end first, as [0.2, 0.85], or set guidance: 1 for none"
            )


def check_ablation(config: Config, name: str) -> None:
    """The methods of an ablation are known."""
    check_methods(config, config["ablations"][name], f"ablations.{name}")
