"""What would end a job, told before the first one: all of it at once, a line each.

`check` runs while the rules are read, so that a dry run and `fairgen check` show the same. Each check is a
small function that yields what it finds. None imports a heavy library; what only timm can say is asked in a
process of its own, once.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from fairgen.core.errors import FairgenError
from fairgen.workflow.compared import ablation, comparison, replicates
from fairgen.workflow.method_chain import Config, dataset_block, extra, starts
from fairgen.workflow.names import RESERVED
from fairgen.workflow.preflight import beside, data, machine, models, plan, probes, process, prompts
from fairgen.workflow.preflight.findings import MACHINE, WRONG, Case, Finding

CHECKS: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    *(data.folder, data.fractions),
    *(models.base, models.layers, models.judges, models.backbones),
    *(process.finetuning, process.drawing),
    *(beside.asked, beside.columns),
    *(prompts.tokens_placed, prompts.told_apart, prompts.lengths),
    *(plan.quotas, plan.opinions, plan.shares, plan.recipes),
)
ON_MACHINE: tuple[Callable[[Case], Iterator[Finding]], ...] = (machine.devices, machine.room, machine.disk)
# artifacts of the whole comparison, by their stems
COMPARED = ("worst_group", "figures", "pages", "report", "audit_synthetic", "check")
LOOKING = ("index", "audit", "rejects", "drawings", "split", "check")  # artifacts of jobs that need no GPU


def check(config: Config, targets: Iterable[str], here: bool = True, runs: bool = True) -> None:
    """Look for all that would end a job of these targets; what does not stop is printed.

    Args:
        config: the whole config, valid and expanded.
        targets: files below `results`.
        here: jobs run on this machine; else nothing is said about its devices.
        runs: they do run; a dry run may stand for one on another machine.

    Raises:
        FairgenError: one line for each mistake.
    """
    listed = list(targets)
    found = list(dict.fromkeys(findings(config, listed, here)))
    stops = {WRONG, MACHINE} if runs and any(computes(target) for target in listed) else {WRONG}
    for finding in found:
        if finding.kind not in stops:
            print(f"fairgen: warning: {finding.text}", file=sys.stderr)
    if wrong := [finding.text for finding in found if finding.kind in stops]:
        raise FairgenError("\n".join(wrong))


def findings(config: Config, targets: list[str], here: bool) -> Iterator[Finding]:
    """Yield what every check finds in the data sets of the targets, and what timm says."""
    questions: list[probes.Question] = []
    for case in wanted(config, targets):
        for one in (*CHECKS, *(ON_MACHINE if here else ())):
            yield from one(case)
        questions += [question for question in probes.questions(case) if question not in questions]
    yield from probes.ask(questions)
    repeated = (target.split("/")[1] for target in targets if target.endswith("/replicates.json"))
    for dataset in dict.fromkeys(repeated):
        yield from plan.replicated(config, dataset)


def wanted(config: Config, targets: list[str]) -> Iterator[Case]:
    """Yield every data set that the targets need, with the methods that they need of it."""
    methods: dict[str, dict[str, None]] = {}
    for target in targets:
        for dataset, named in needs(config, target):
            every = chain.from_iterable(starts(config, dataset, method) for method in named)
            methods.setdefault(dataset, {}).update(dict.fromkeys(every))
    for dataset in list(methods):
        for other in filter(None, (extra(config, dataset, method) for method in methods[dataset])):
            methods.setdefault(other, {})
    for dataset, own in methods.items():
        yield Case(config, dataset, tuple(own))


def needs(config: Config, target: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the data sets of one target, a file below `results`, with the methods that it compares or is of.

    Raises:
        FairgenError: there is no such data set, ablation or list of replicates.
    """
    parts = target.split("/")
    if len(parts) < 3 or parts[0] != "results" or parts[1] in RESERVED:
        return
    dataset, stem = parts[1], parts[2].split(".")[0]
    dataset_block(config, dataset)
    if parts[2] == "replicates.json":
        for name in replicates(config, dataset):
            yield name, comparison(config, name)["compare"]
    elif stem == "ablations" and len(parts) > 3:
        yield dataset, ablation(config, dataset, parts[3].rsplit(".", 1)[0])
    elif stem in COMPARED:
        yield dataset, comparison(config, dataset)["compare"]
    else:
        yield dataset, [part for part in parts[3:4] if part in config["methods"]]


def targets_of(stage: str, dataset: str, method: str | None) -> list[str]:
    """The target that stands for what a job of a stage needs, where no command line says so; none for most
    stages.
    """
    found = {
        "index": f"results/{dataset}/index.parquet",
        "finetune": f"results/{dataset}/any/{method}/model.safetensors",
    }
    return [found[stage]] if stage in found else []


def computes(target: str) -> bool:
    """Whether a target's jobs compute on the data set's device."""
    return target.rsplit("/", 1)[-1].split(".")[0] not in LOOKING
