"""The config checked before any job: against its schema, and for what a schema cannot say. Each mistake is one line."""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from fairgen import labels, schemas
from fairgen.blocks import SECOND, Config, block, chain, dataset_block, extra, recipe, stage_one, starts, synthetic
from fairgen.config import attributes, comparison, expanded
from fairgen.errors import FairgenError
from fairgen.prompts import PLACE, plain_prompt


def validate(config: Config, schema: Config, needed: Iterable[str] = ()) -> list[str]:
    """Check the config against its JSON Schema, and what a schema cannot say.

    Args:
        config: as it is written.
        schema: of its expanded form.
        needed: the data sets that the call is about; all of them if none is named.

    Returns:
        Mistakes in data sets that the call is not about, a line each.

    Raises:
        FairgenError: one line for each other mistake.
    """
    whole = expanded(config)
    wrong = schemas.problems(whole, schema, "config")
    readable = schemas.meant(whole, schema) if wrong else whole  # a misspelt word hides no other mistake
    if readable is None:
        tell(wrong)
    if broken := gather(Check(chain, (readable, method)) for method in readable["methods"]):
        tell([*wrong, *broken])
    names = list(readable["datasets"])
    near = used(readable, needed) or names
    own = gather(checks(readable, [name for name in names if name in near]))
    tell([*wrong, *own])
    others = gather(checks(readable, [name for name in names if name not in near]))
    return [line for line in others if line not in own]


def used(config: Config, needed: Iterable[str]) -> list[str]:
    """Some data sets, their replicates, and those whose images they may take for stage 1."""
    found = [name for name in needed if name in config["datasets"]]
    found += [other for name in found for other in config["replicates"].get(name, ())]
    extras = [extra(config, name, method) for name in found if name in config["datasets"] for method in config["methods"]]
    return [*found, *filter(None, extras)]


def checks(config: Config, names: list[str]) -> list["Check"]:
    """All checks of some data sets, and of what is compared beside their own tables."""
    return [*of_datasets(config, names), *of_methods(config, names), *of_tables(config, names)]


@dataclass(frozen=True)
class Check:
    """A check with what it takes; of a method also its name and those of the data sets, on which it makes the same mistakes."""

    run: Callable[..., Any]
    given: tuple[Any, ...]
    method: str = ""
    datasets: tuple[str, ...] = ()

    def kind(self, line: str) -> str:
        """A line without the names, by which a mistake of several methods and data sets is known as one."""
        names = "|".join(re.escape(name) for name in (self.method, *self.datasets) if name)
        return re.sub(rf"(?<![\w-])({names})(?![\w-])", "", line) if names else line


def gather(made: Iterable[Check]) -> list[str]:
    """Make every check; a line for each mistake, and one that several methods have is told once, with their names."""
    lines: dict[str, str] = {}
    methods: dict[str, list[str]] = defaultdict(list)
    for check in made:
        try:
            check.run(*check.given)
        except FairgenError as error:
            for line in (line for line in str(error).splitlines() if line not in lines.values()):
                lines.setdefault(check.kind(line), line)
                methods[check.kind(line)].append(check.method)
    others = {kind: list(dict.fromkeys(found))[1:] for kind, found in methods.items()}
    return [f"{line} (likewise {', '.join(others[kind])})" if others[kind] else line for kind, line in lines.items()]


def of_datasets(config: Config, names: list[str]) -> Iterator[Check]:
    """Yield the checks of some data sets."""
    for name in names:
        data = config["datasets"][name]
        yield Check(check_root, (name, data))
        yield Check(check_labels, (config, name))
        yield Check(check_compare, (config, name))
        for check in (check_groups, check_classes, check_prompts):
            yield Check(check, (name, data["groups"]))


def of_methods(config: Config, names: list[str]) -> Iterator[Check]:
    """Yield the checks of every method on some data sets."""
    every = tuple(config["datasets"])
    for name in names:
        for method in config["methods"]:
            for check in (check_start, check_weights, check_extra, check_shared):
                yield Check(check, (config, name, method), method, every)
        for method in comparison(config, name)["compare"]:
            if method in config["methods"]:
                yield Check(recipe, (config, name, method), method, every)


def of_tables(config: Config, names: list[str]) -> Iterator[Check]:
    """Yield the checks of what is compared beside the own tables of some data sets."""
    for name in config["replicates"]:
        if name in names or name not in config["datasets"]:
            yield Check(check_replicates, (config, name))
    for name in config["ablations"]:
        yield Check(check_ablation, (config, name))


def check_compare(config: Config, dataset: str) -> None:
    """The compared methods are known."""
    own = "compare" in config["datasets"][dataset]["settings"]
    where = f"datasets.{dataset}.settings.compare" if own else "compare"
    check_methods(config, block(config, dataset, None, "compare"), where)


def check_methods(config: Config, listed: list[str], key: str) -> None:
    """The methods of a list are known."""
    known = config["methods"]
    tell([f"config: {key}: unknown method '{m}'; {schemas.nearest(m, known)}" for m in listed if m not in known])


def check_root(dataset: str, data: Config) -> None:
    """fairgen's own drawings lie in one place."""
    if data["format"] == "birds" and os.path.normpath(data["root"]) != f"results/{dataset}":
        raise FairgenError(
            f"config: datasets.{dataset}.root: fairgen draws into results/{dataset}; write that instead of {data['root']}"
        )


def check_groups(dataset: str, groups: Config) -> None:
    """Every donor is an aligned group of the same class, and no two groups are the same (target, bias) pair."""
    seen: dict[tuple[str, str], str] = {}
    found = []
    for name, group in groups.items():
        donor, where = group["donor"], f"config: datasets.{dataset}.groups.{name}"
        if donor is not None and (donor not in groups or groups[donor]["role"] != "aligned"):
            found.append(f"{where}.donor: '{donor}' is no aligned group of this data set; name one, or null")
        elif donor is not None and groups[donor]["target"] != group["target"]:
            found.append(f"{where}.donor: '{donor}' has another target; name an aligned group of target {group['target']}")
        first = seen.setdefault((group["target"], group["bias"]), name)
        if first != name:
            found.append(f"{where}: target {group['target']} and bias {group['bias']} are those of {first}; leave one out")
    tell(found)


def check_classes(dataset: str, groups: Config) -> None:
    """There are two classes or more, and each has an aligned group, which the bias ratio leaves its images."""
    roles: dict[str, set[str]] = {}
    for group in groups.values():
        roles.setdefault(group["target"], set()).add(group["role"])
    where = f"config: datasets.{dataset}.groups"
    found = [
        f"{where}: every group of target {target} is conflicting, so that no bias ratio leaves it training images;"
        " set role: aligned for the common one"
        for target in roles
        if "aligned" not in roles[target]
    ]
    if len(roles) == 1:
        found.append(f"{where}: all have the target {next(iter(roles))}; a classifier needs two classes or more")
    tell(found)


def check_prompts(dataset: str, groups: Config) -> None:
    """Every prompt says something beside its token, and the token's place is written as it is looked for."""
    found = []
    for name, group in groups.items():
        where, prompt = f"config: datasets.{dataset}.groups.{name}.prompt", group["prompt"]
        if wrong := [word for word in re.findall(r"\[\s*v\s*\]", prompt, re.I) if word != PLACE]:
            found.append(f"{where}: '{wrong[0]}' stands for nothing; write {PLACE} where the rare word goes")
        elif not plain_prompt(prompt):
            found.append(f"{where}: it says nothing beside {PLACE}; describe the group's images")
    tell(found)


def tell(found: list[str]) -> None:
    """Raise what was found, a line each."""
    if found:
        raise FairgenError("\n".join(found))


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
        raise FairgenError(f"{where}.pretrain.extra: unknown data set '{found}'; {schemas.nearest(found, config['datasets'])}")
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


def check_ablation(config: Config, name: str) -> None:
    """The methods of an ablation are known."""
    check_methods(config, config["ablations"][name], f"ablations.{name}")


def check_replicates(config: Config, name: str) -> None:
    """The replicates of a data set are data sets of the same groups, and compare the same methods at the same ratios."""

    def compared(dataset: str) -> tuple[Any, ...]:
        return dataset_block(config, dataset)["groups"].keys(), *(block(config, dataset, None, k) for k in ("ratios", "compare"))

    for other in [name, *config["replicates"][name]]:
        if other not in config["datasets"]:
            raise FairgenError(
                f"config: replicates.{name}: unknown data set '{other}' ({schemas.nearest(other, config['datasets'])});"
                f" or add an entry {other} that says `like: {name}`"
            )
        if compared(other) != compared(name):
            raise FairgenError(f"config: replicates.{name}: {other} has other groups, ratios or methods than {name}")
