"""All Python of the workflow, no rules: validated config, paths by owner, tracked settings and code."""

import os
import sys
from itertools import product
from pathlib import Path

import yaml

sys.path.insert(0, str(workflow.basedir))

from fairgen import config as table
from fairgen.errors import FairgenError
from fairgen.fingerprint import fingerprint
from fairgen.models import locate
from fairgen.workflow import requested, stop, use_this_python

use_this_python()

try:
    table.validate(config, yaml.safe_load((Path(workflow.basedir) / "rules/config.schema.yaml").read_text()))
    for name in requested(sys.argv[1:]):
        table.check_data(config, name)
except FairgenError as error:
    stop(error)


wildcard_constraints:
    dataset="|".join(config["datasets"]),
    method="|".join(config["methods"]),
    group="|".join(dict.fromkeys(g for d in config["datasets"].values() for g in d["groups"])),
    scope=r"any|bias-[0-9.]+",
    cluster=r"\d+",
    seed=r"\d+",


def block(w, name, method=None):
    """A config block as the method of the wildcards sees it."""
    return table.block(config, w.dataset, method or getattr(w, "method", None), name)


def settings(stage):
    """Params function: the stage's settings as canonical JSON, of wildcards only."""

    def of(wildcards):
        picked = {name: wildcards.get(name) for name in ("method", "group")}
        return table.settings(config, wildcards.dataset, stage, **picked)

    return of


def code(stage, *chosen):
    """Params function: fingerprint of the stage's code; `chosen` maps wildcards to a module that a setting picks."""

    def of(wildcards):
        return fingerprint(f"fairgen.{stage}", *(pick(wildcards) for pick in chosen))

    return of


def reader(w):
    """The module of the data set's format."""
    return f"fairgen.formats.{config['datasets'][w.dataset]['format']}"


def learner(w):
    """The module of the classifier method."""
    return f"fairgen.methods.{block(w, 'finetune')['kind']}"


def place(w, stage, name, method=None, scope=None, **more):
    """Path of an artifact under the method and scope that own it."""
    method = method or w.method
    owner = table.owner(config, method, stage)
    scope = table.scope(config, w.dataset, method, stage, scope or w.scope)
    return f"results/{w.dataset}/{scope}/{owner}/{name}".format(**{**dict(w.items()), **more})


def at(stage, name):
    """Input function: the artifact of an earlier stage under its owner."""
    return lambda w: place(w, stage, name)


def groups(w):
    """Groups of the data set, in the config's order."""
    return config["datasets"][w.dataset]["groups"]


def adapters_of(w, group):
    """Adapter files of every cluster slot of a group; none when the method adapts nothing."""
    if group is None or block(w, "adapt")["kind"] == "none":
        return []
    slots = range(block(w, "cluster")["k"])
    return [place(w, "adapt", "adapters/{group}/{cluster}.safetensors", group=group, cluster=c) for c in slots]


def own_adapters(w):
    """Adapters of the group itself."""
    return adapters_of(w, w.group)


def donor_adapters(w):
    """Adapters of the group's donor."""
    return adapters_of(w, groups(w)[w.group]["donor"])


def prior_images(w):
    """Class images for recipes with prior preservation: the group's own, and those of the groups that may borrow from it."""
    recipe = block(w, "adapt")
    wanted = recipe["kind"] != "none" and recipe[recipe["kind"]]["prior_weight"] > 0
    borrowers = [g for g, entry in groups(w).items() if entry["donor"] == w.group]
    return [f"results/{w.dataset}/prior/{g}.parquet" for g in (w.group, *borrowers)] if wanted else []


def all_samples(w):
    """Sample files of every group."""
    return [place(w, "sample", "samples/{group}.parquet", group=g) for g in groups(w)]


def pretrained(w):
    """Stage-1 weights of methods that use synthetic images."""
    return [place(w, "pretrain", "pretrain/seed-{seed}.safetensors")] if table.synthetic(config, w.method) else []


def drawings(w):
    """The embedded data set's drawings."""
    return [f"results/{w.dataset}/drawings.parquet"] if reader(w).endswith(".birds") else []


def weights(name, key):
    """Input function: local weight files of a block's model, so that new weights rerun what uses them."""

    def files(w):
        value = block(w, name)
        folder = Path(locate(value[key]["model"] if key else value["model"]))
        found = sorted(folder.rglob("*.safetensors")) if folder.is_dir() else []
        return [os.path.relpath(path) for path in found]

    return files


def compared(w):
    """(scope, method, seed) of every cell of the data set's table."""
    names = table.comparison(config, w.dataset)
    return [(f"bias-{r}", m, s) for r, m, s in product(names["ratios"], names["compare"], names["seeds"])]


def all_metrics(w):
    """Metrics of every cell, in the order of `compared`."""
    return [f"results/{w.dataset}/{scope}/{method}/seed-{seed}/metrics.json" for scope, method, seed in compared(w)]


def generators(w):
    """(scope, method) of every compared method that draws images, at the data set's first ratio."""
    cells = dict.fromkeys((scope, method) for scope, method, _ in compared(w))
    first = next(iter(cells))[0]
    return [(s, m) for s, m in cells if s == first and table.synthetic(config, m)]


def all_selections(w):
    """Selections of the generators."""
    return [place(w, "filter", "selection.parquet", method=m, scope=s) for s, m in generators(w)]


def gpus(w):
    """GPUs of one job, an untracked number per data set."""
    return config["datasets"][w.dataset]["gpu"]
