"""What a schema cannot say of a data set's groups: each check raises one line for each mistake."""

import re

from fairgen.core.errors import FairgenError
from fairgen.evaluate.results import METRICS
from fairgen.generate.prompts import PLACE, plain_prompt
from fairgen.workflow.method_chain import Config

COLUMN = "_accuracy"  # a group's column in worst_group.csv, beside those of the method's own figures
SPLITS = {"training": "_train", "validation": "_validation"}  # in names of its columns
TAKEN = {
    name.removesuffix(COLUMN) for name in (*METRICS, f"shift_worst_group{COLUMN}") if name.endswith(COLUMN)
}


def tell(found: list[str]) -> None:
    """Raise what was found, a line each."""
    if found:
        raise FairgenError("\n".join(found))


def check_groups(dataset: str, groups: Config) -> None:
    """Every donor is an aligned group of the same class that has none itself, and no two groups are the same
    (target, bias) pair.
    """
    seen: dict[tuple[str, str], str] = {}
    found = []
    for name, group in groups.items():
        donor, where = group["donor"], f"config: datasets.{dataset}.groups.{name}"
        if donor is not None and (donor not in groups or groups[donor]["role"] != "aligned"):
            found.append(f"{where}.donor: '{donor}' is no aligned group of this data set; name one, or null")
        elif donor is not None and groups[donor]["target"] != group["target"]:
            found.append(
                f"{where}.donor: '{donor}' has another target; name an aligned group of target"
                f" {group['target']}"
            )
        elif donor is not None and groups[donor]["donor"] is not None:
            found.append(
                f"{where}.donor: '{donor}' may borrow itself, from '{groups[donor]['donor']}', so it might"
                f" have no generator to lend; set donor: null for {donor}"
            )
        first = seen.setdefault((group["target"], group["bias"]), name)
        if first != name:
            found.append(
                f"{where}: target {group['target']} and bias {group['bias']} are those of {first}; leave one"
                " out"
            )
    tell(found)


def check_classes(dataset: str, groups: Config) -> None:
    """There are two classes or more, and each has an aligned group, which the bias ratio leaves its
    images.
    """
    roles: dict[str, set[str]] = {}
    for group in groups.values():
        roles.setdefault(group["target"], set()).add(group["role"])
    where = f"config: datasets.{dataset}.groups"
    found = [
        f"{where}: every group of target {target} is conflicting, so that no bias ratio leaves it training"
        " images; set role: aligned for the common one"
        for target in roles
        if "aligned" not in roles[target]
    ]
    if len(roles) == 1:
        found.append(
            f"{where}: all have the target {next(iter(roles))}; a classifier needs two classes or more"
        )
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


def check_names(dataset: str, groups: Config) -> None:
    """No group has the name of a figure, or of another group's, whose column in `worst_group.csv` it would
    take, nor another one's name but for capitals, whose folder it would take on many disks.
    """
    found = []
    for number, name in enumerate(groups):
        where = f"config: datasets.{dataset}.groups.{name}"
        if name in TAKEN:
            found.append(f"{where}: {name}{COLUMN} is a figure of the method; choose another name")
        found += [
            f"{where}: {name}_n is the number of {split} images of {other}; choose another name"
            for split, ending in SPLITS.items()
            for other in groups
            if name == other + ending
        ]
        found += [
            f"{where}: it differs from {other} in capitals only; choose another name"
            for other in list(groups)[:number]
            if name.casefold() == other.casefold()
        ]
    tell(found)


CHECKS = (check_groups, check_classes, check_prompts, check_names)
