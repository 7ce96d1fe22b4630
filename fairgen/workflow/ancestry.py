"""The lineage of every artifact, read off the workflow's own rules.

A lineage is a hash over an artifact's wildcards, its rule's settings and code, the lineages of the artifacts
that the rule reads, and the content of the model files that it reads: a function of wildcards, so snakemake
sees it change with everything upstream.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from fairgen.core.contents import content
from fairgen.core.settings import canonical


@dataclass(frozen=True)
class Made:
    """How one job's artifacts come about by the present config and code."""

    rule: str
    settings: str  # canonical JSON
    code: str
    inputs: dict[str, list[str]]  # paths by the name of the input
    parents: dict[str, list[str]]  # their lineages; "" for files that no rule makes
    # content of the files that the rule's command line has after --watched; "" for what a rule makes
    watched: list[str]
    hash: str


class Ancestry:
    """Lineages of all artifacts of a workflow; the rules are looked at when the first one is asked for."""

    def __init__(self, workflow: Any):
        self.workflow = workflow
        self.known: dict[tuple[str, ...], Made] = {}
        self.paths: dict[str, Made | None] = {}

    def params(self, stage: str, **beside: Callable[[Any], list[str]]) -> Callable[[Any], str]:
        """Params function of a stage's rule: its lineage and those of its inputs, as a job gets them.
        `beside` names a wildcard and its values: a process may do those jobs too, and needs their lineages.
        """

        def of(wildcards: Any) -> str:
            made = self.made(self.stages[stage], dict(wildcards.items()))
            modules = self.stages[stage].params.code.modules(wildcards)
            known = {"hash": made.hash, "code": made.code, "modules": modules, "inputs": made.parents}
            others = {
                value: self.made(self.stages[stage], {**dict(wildcards.items()), name: value}).hash
                for name, values in beside.items()
                for value in values(wildcards)
            }
            seen = {"watched": made.watched} if any(made.watched) else {}
            return canonical({**known, **seen, **({"beside": others} if len(others) > 1 else {})})

        of.stage = stage  # type: ignore[attr-defined]
        of.known = self  # type: ignore[attr-defined]
        return of

    @cached_property
    def stages(self) -> dict[str, Any]:
        """The rules that have a lineage, by their stage; as a module, a workflow's rules may have other
        names.
        """
        found = ((rule.params.get("lineage"), rule) for rule in self.workflow.rules)
        return {function.stage: rule for function, rule in found if hasattr(function, "stage")}

    @cached_property
    def _index(self) -> Any:
        from snakemake.output_index import OutputIndex

        return OutputIndex(self.workflow.rules)

    def of(self, path: str) -> Made | None:
        """How an artifact comes about; None for a file that no rule with a lineage makes."""
        if path not in self.paths:
            self.paths[path] = self._find(path)
        return self.paths[path]

    def _find(self, path: str) -> Made | None:
        rules = [
            rule for rule in self._index.match(path) if rule in self.stages.values() and made_by(rule, path)
        ]
        return self.made(rules[0], rules[0].get_wildcards(path)) if rules else None

    def made(self, rule: Any, wildcards: dict[str, str]) -> Made:
        """How the artifacts of one job come about."""
        key = (rule.name, *(f"{name}={value}" for name, value in sorted(wildcards.items())))
        if key not in self.known:
            self.known[key] = self._make(rule, wildcards)
        return self.known[key]

    def _make(self, rule: Any, wildcards: dict[str, str]) -> Made:
        from snakemake.iocontainers import Wildcards

        known = Wildcards(fromdict=wildcards)
        settings, code = (rule.params.get(name)(known) for name in ("settings", "code"))
        inputs = {name: paths for name, paths in named(rule.expand_input(wildcards)[0]) if paths}
        parents = {name: [self._hash(path) for path in paths] for name, paths in inputs.items()}
        parents = {name: hashes for name, hashes in parents.items() if any(hashes)}
        given = [contents(inputs[name]) for name in sorted(inputs.keys() - parents.keys())]
        whole = json.dumps(
            [rule.params.lineage.stage, wildcards, settings, code, parents, given],
            sort_keys=True,
        )
        found = hashlib.sha256(whole.encode()).hexdigest()[:16]
        paths = [path for name in watched(rule) for path in inputs.get(name, [])]
        each = ["" if self._hash(path) else read_once(path) for path in paths]
        return Made(rule.params.lineage.stage, settings, code, inputs, parents, each, found)

    def _hash(self, path: str) -> str:
        made = self.of(path)
        return made.hash if made else ""


def within(workflow: Any) -> Ancestry | None:
    """The lineages of a workflow that is fairgen's, or has it as a module; None for another one."""
    given = (rule.params.get("lineage") for rule in workflow.rules)
    return next((function.known for function in given if hasattr(function, "known")), None)


def made_by(rule: Any, path: str) -> bool:
    """Whether a file is an output of a rule; logs and benchmarks, which snakemake counts too, are no
    artifacts.
    """
    return any(output.match(path) for output in rule.output)


def named(inputs: Any) -> Iterator[tuple[str, list[str]]]:
    """The named inputs of a rule with their paths."""
    for name, value in inputs.items():
        yield name, [str(value)] if isinstance(value, str) else [str(path) for path in value]


def watched(rule: Any) -> list[str]:
    """The inputs whose files a rule's command line has after `--watched`, in its order."""
    return re.findall(r"\{input\.(\w+):q\}", (rule.shellcmd or "").partition("--watched")[2])


def contents(paths: list[str]) -> list[tuple[str, str]]:
    """The files of one input that no rule makes, each with its name below the folder that they share: two
    that change places are others, the same in another folder are the same.
    """
    root = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths])
    named = [(os.path.relpath(os.path.abspath(path), root), read_once(path)) for path in paths]
    return sorted(named) if len(named) > 1 else [("", digest) for _, digest in named]


read_once = cache(content)  # while a call plans
