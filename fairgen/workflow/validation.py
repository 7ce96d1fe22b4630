"""The config checked before any job: against its schema, and for what a schema cannot say. Each mistake is
one line.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from fairgen.core import schemas
from fairgen.core.errors import FairgenError
from fairgen.workflow import config_checks, group_checks, replicate_checks
from fairgen.workflow.compared import comparison
from fairgen.workflow.expansion import expanded
from fairgen.workflow.method_chain import Config, block, chain, extra, recipe


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
        group_checks.tell(wrong)
    if broken := gather(Check(chain, (readable, method)) for method in readable["methods"]):
        group_checks.tell([*wrong, *broken])
    names = list(readable["datasets"])
    near = used(readable, needed) or names
    own = gather(checks(readable, [name for name in names if name in near]))
    group_checks.tell([*wrong, *own])
    others = gather(checks(readable, [name for name in names if name not in near]))
    return [line for line in others if line not in own]


def repeated(config: Config, needed: Iterable[str]) -> list[str]:
    """Some data sets and their replicates."""
    found = [name for name in needed if name in config["datasets"]]
    every = [*found, *(other for name in found for other in config["replicates"].get(name, ()))]
    return list(dict.fromkeys(name for name in every if name in config["datasets"]))


def used(config: Config, needed: Iterable[str]) -> list[str]:
    """Some data sets, their replicates, and those whose images they may take for stage 1."""
    found = repeated(config, needed)
    listed = [(name, method) for name in found for method in block(config, name, None, "compare")]
    extras = [extra(config, name, method) for name, method in listed if method in config["methods"]]
    return [*found, *filter(None, extras)]


def checks(config: Config, names: list[str]) -> list["Check"]:
    """All checks of some data sets, and of what is compared beside their own tables."""
    return [*of_datasets(config, names), *of_methods(config, names), *of_tables(config, names)]


@dataclass(frozen=True)
class Check:
    """A check with what it takes; of a method also its name and those of the data sets, on which it makes the
    same mistakes.
    """

    run: Callable[..., Any]
    given: tuple[Any, ...]
    method: str = ""
    datasets: tuple[str, ...] = ()

    def kind(self, line: str) -> str:
        """A line without the names, by which a mistake of several methods and data sets is known as one."""
        names = "|".join(re.escape(name) for name in (self.method, *self.datasets) if name)
        return re.sub(rf"(?<![\w-])({names})(?![\w-])", "", line) if names else line


def gather(made: Iterable[Check]) -> list[str]:
    """Make every check; a line for each mistake, and one that several methods have is told once, with their
    names.
    """
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
    return [
        f"{line} (likewise {', '.join(others[kind])})" if others[kind] else line
        for kind, line in lines.items()
    ]


def of_datasets(config: Config, names: list[str]) -> Iterator[Check]:
    """Yield the checks of some data sets."""
    for name in names:
        data = config["datasets"][name]
        yield Check(config_checks.check_root, (name, data))
        yield Check(config_checks.check_drawings, (name, data))
        yield Check(config_checks.check_labels, (config, name))
        yield Check(config_checks.check_compare, (config, name))
        yield Check(config_checks.check_overrides, (config, name))
        for check in group_checks.CHECKS:
            yield Check(check, (name, data["groups"]))


def of_methods(config: Config, names: list[str]) -> Iterator[Check]:
    """Yield the checks of every method on some data sets."""
    every = tuple(config["datasets"])
    for name in names:
        for method in config["methods"]:
            for check in (
                config_checks.check_start,
                config_checks.check_weights,
                config_checks.check_extra,
                config_checks.check_shared,
                config_checks.check_interval,
            ):
                yield Check(check, (config, name, method), method, every)
        for method in comparison(config, name)["compare"]:
            if method in config["methods"]:
                yield Check(recipe, (config, name, method), method, every)


def of_tables(config: Config, names: list[str]) -> Iterator[Check]:
    """Yield the checks of what is compared beside the own tables of some data sets."""
    for name in config["replicates"]:
        if name in names or name not in config["datasets"]:
            yield Check(replicate_checks.check_replicates, (config, name))
    for name in config["ablations"]:
        yield Check(config_checks.check_ablation, (config, name))
