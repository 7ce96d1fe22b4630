"""All Python of the workflow, no rules: validated config, paths by owner, tracked settings and code."""

import sys
from functools import cache
from pathlib import Path

import yaml

RATIO = r"bias-(natural|0\.\d+)"  # a scope of one bias ratio
RULES = Path(str(workflow.current_basedir.get_path_or_uri(secret_free=True)))
sys.path.insert(0, str(RULES.parent))

from fairgen.core.errors import FairgenError
from fairgen.core.settings import integral
from fairgen.workflow import (
    ancestry,
    config_file,
    expansion,
    failures,
    hidden,
    method_chain,
    overlooked,
    preflight,
    project,
    report_inputs,
    scopes,
    stage_settings,
    stages,
    validation,
)
from fairgen.workflow.artifacts import Paths
from fairgen.workflow.command_line import (
    call,
    check_module,
    check_writable,
    requested,
    share_gpus,
    stop,
    tell_jobs,
    use_this_python,
)
from fairgen.workflow.known_code import fingerprint

asked = call(outer=workflow.modifier.parent_modifier is not None)
own_python = "conda" in map(str, workflow.deployment_settings.deployment_method)
use_this_python(asked.outer, own_python, asked.first)
config_files = project.config_files(RULES.parent, asked.outer)
given_files = () if asked.outer else tuple(workflow.configfiles)  # the directives below will append theirs

try:
    check_module(workflow.modifier.path_modifier.prefix)
    for file in () if asked.outer else (*config_files, *given_files):
        config_file.check(Path(file))
    config_file.check_words(asked.config)
    words = workflow.config_settings.config
    typed = {} if asked.outer else project.read(given_files, words)
except FairgenError as error:
    stop(error)


for file in config_files:

    configfile: str(file)


if asked.outer:  # what it gives goes over fairgen's own; the words after --config are its own
    config = project.completed(RULES.parent, config)
else:
    project.merge(config, config_file.as_yaml(words))
if typed:
    project.replace_args(config, project.read((*config_files, *given_files), words))
    config.update(project.in_order(config, project.read(config_files)))

paths = Paths(config)
lineages = ancestry.Ancestry(workflow)
lineage = lineages.params  # params function of a stage: what its artifacts belong to
overlooked.make_again(lineages)
looking = report_inputs.ReportInputs(paths, lineages, asked.targets)
failed = failures.watch()

try:
    schema = yaml.safe_load((RULES / "config.schema.yaml").read_text())
    for line in validation.validate(config, schema, requested(asked.targets)):
        print(f"fairgen: warning: {line} (of a data set that this call does not need)", file=sys.stderr)
    config.update(integral(expansion.expanded(config)))
    tell_jobs(config, asked.plans)
    if asked.plans:
        needed = validation.repeated(config, requested(asked.targets))
        for line in hidden.hidden(typed, config, needed):
            print(f"fairgen: warning: {line}", file=sys.stderr)
        preflight.check(config, asked.targets, asked.here, asked.runs)
        gpus = max(config["datasets"][name]["gpu"] for name in needed or config["datasets"])
        if asked.here and gpus:
            share_gpus(workflow, gpus)
except FairgenError as error:
    stop(error)


onstart:
    try:
        check_writable(Path("results"), requested(asked.targets))
    except FairgenError as error:
        stop(error)


onerror:
    failed.tell()


wildcard_constraints:
    dataset="|".join(config["datasets"]),
    method="|".join(config["methods"]),
    group="|".join(dict.fromkeys(g for d in config["datasets"].values() for g in d["groups"])),
    scope=f"any|{RATIO}",
    cluster=r"\d+",
    seed=r"\d+",
    resolution=r"\d+",
    ablation="[a-z][a-z0-9-]*",


def settings(stage):
    """Params function: the stage's settings as canonical JSON, of wildcards only."""

    @cache  # once, whatever the ratios
    def look(dataset, method):
        preflight.check(config, preflight.targets_of(stage, dataset, method), asked.here, asked.runs)

    @cache  # thousands of jobs share few settings
    def text(dataset, method, group, ablation, scope):
        try:
            scopes.check(config, stage, dataset, scope, method, group)
            if asked.outer and asked.plans:  # its targets are known by their jobs
                look(dataset, method)
            return stage_settings.settings(config, dataset, stage, method, group, ablation, scope)
        except FairgenError as error:
            stop(error)

    def of(wildcards):
        return text(*(wildcards.get(name) for name in ("dataset", "method", "group", "ablation", "scope")))

    return of


def code(stage, *chosen):
    """Params function: fingerprint of the stage's code; `chosen` maps wildcards to a module that a setting picks."""

    def of(wildcards):
        return fingerprint(*modules(wildcards))

    def modules(wildcards):
        return [stages.module(stage), *(pick(wildcards) for pick in chosen)]

    of.modules = modules  # a job looks at its code again
    return of


def reader(w):
    """The module of the data set's format."""
    return f"fairgen.data.formats.{config['datasets'][w.dataset]['format']}"


def learner(w):
    """The module of the classifier method."""
    return f"fairgen.classify.methods.{method_chain.block(config, w.dataset, w.method, 'finetune')['kind']}"


def together(w):
    """How many cluster slots one process may train; only its own where jobs share no folder (a storage provider, as on Kubernetes)."""
    return 1 if workflow.storage_settings.default_storage_provider else paths.together(w)


def grows(amount, times=lambda wildcards: 1):
    """Resource function: memory (MB) or time (minutes) for a cluster, once more at every attempt; no setting of the result."""
    return lambda wildcards, attempt: amount * attempt * times(wildcards)
