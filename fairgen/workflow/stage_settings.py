"""The settings that each stage's jobs get, one function per stage: what is tracked is what is used.

Pure functions of the config and a job's wildcards; nothing heavy is imported here.
"""

from collections.abc import Callable
from math import prod

from fairgen.core.errors import FairgenError
from fairgen.core.settings import canonical
from fairgen.workflow import compared
from fairgen.workflow.job_settings import Job, attributes, each, fields, network
from fairgen.workflow.method_chain import Config, block, chosen, dataset_block, extra, recipe
from fairgen.workflow.stages import STAGES

# keys of `adapt` that were added later, with what changes nothing: left out of the settings, so that adapters
# from before they were there stay what they are
NEUTRAL = {"weighting": "none", "shift": 1, "crop": "centre", "captions": 0, "select": "last"}


def base(job: Job) -> Config:
    """The base model; its `memory` only if that is low."""
    return {k: v for k, v in job.block("diffusion").items() if (k, v) != ("memory", "normal")}


def draw(job: Job) -> Config:
    """How many drawings, and of which stream."""
    return job.data["options"]


def index(job: Job) -> Config:
    """The files, the attributes that form the groups, and how the splits are made."""
    data = job.data
    return {
        "dataset": job.dataset,
        **{k: data[k] for k in ("format", "root")},
        "options": {} if data["format"] == "birds" else data["options"],
        **{k: attributes(data[k]) for k in ("target", "bias")},
        "groups": fields(job.groups, "target", "bias"),
        **job.block("index"),
        **{k: data[k] for k in ("caption", "box") if k in data},
    }


def decode(job: Job) -> Config:
    """None: the picture size is a wildcard."""
    return {}


def split(job: Job) -> Config:
    """The groups' classes and roles, which the ratio cuts by."""
    return {"groups": fields(job.groups, "target", "role"), **job.block("split")}


def embed(job: Job) -> Config:
    """The encoder."""
    return job.block("embed")


def prior(job: Job) -> Config:
    """The class images of one group."""
    return {"prompts": each(job.own, "prompt"), "base": base(job), **job.block("prior")}


def cluster(job: Job) -> Config:
    """How k-means runs."""
    return job.block("cluster")


def adapt(job: Job) -> Config:
    """The chosen recipe on the base, for one group; which of the two stages runs (`shared`) changes no
    setting of it, nor does a key with its neutral value.
    """
    found = chosen(job.block("adapt"))
    found = {k: v for k, v in found.items() if k != "shared" and (k not in NEUTRAL or v != NEUTRAL[k])}
    return {
        **found,
        "base": base(job),
        "prompts": each(job.own, "prompt"),
        "donors": each(job.own, "donor"),
    }


def sample(job: Job) -> Config:
    """How a group's images are drawn: with the base's guidance, or that of finetuned generators."""
    found, adapted = job.block("sample"), job.block("adapt")
    solver = (
        {**found["solver"], "guidance": found["guidance_adapted"]}
        if adapted["kind"] != "none"
        else found["solver"]
    )
    return {
        **{k: v for k, v in found.items() if k != "guidance_adapted"},
        "solver": solver,
        "token": adapted["token"],
        "base": base(job),
        "prompts": each(job.own, "prompt"),
        "donors": each(job.own, "donor"),
    }


def score(job: Job) -> Config:
    """The scorer, and the prompts that images are scored against."""
    found = {k: v for k, v in job.block("score").items() if k != "second"}
    return {**found, "prompts": each(job.groups, "prompt")}


def score_second(job: Job) -> Config:
    """The same with the second scorer."""
    return {**score(job), "model": job.block("score")["second"]}


def filter(job: Job) -> Config:
    """Which images are kept."""
    return job.block("filter")


def audit(job: Job) -> Config:
    """The figures of a synthetic set, and what its card says of it."""
    found = job.block("audit")
    own = ("encoder", "real_images", "near", "shown")
    return {
        **{k: found[k] for k in ("real_images", "near", "shown")},
        "measures": {k: v for k, v in found.items() if k not in own},
        "space": found["encoder"] or job.block("embed")["encoder"],
        **{"scorer": job.block("score")["model"], **job.block("embed"), "groups": list(job.groups)},
        "classes": each(job.groups, "target"),
        "card": {"dataset": job.dataset, "seed": job.block("sample")["seed"], "filter": job.block("filter")},
    }


def pretrain(job: Job) -> Config:
    """Stage 1: the classifier, its optimisation, and where its images come from."""
    found, other = job.block("pretrain"), extra(job.config, job.dataset, job.trained)
    near = [block(job.config, name, None, "index")["near"] for name in (job.dataset, other)] if other else [0]
    return {
        "extra": other,
        "near": min(near),
        "recipe": {k: found[k] for k in ("steps", "batch", "lr", "weight_decay", "optimizer")},
        **{k: found[k] for k in ("supcon", "temperature", "projection", "weights")},
        **network(job.block("classifier")),
        "classes": job.classes,
        "targets": each(stage_one_groups(job), "target"),
    }


def stage_one_groups(job: Job) -> Config:
    """The groups of the images that stage 1 sees: the data set's, or those of another one of the same
    classes.

    Raises:
        FairgenError: that data set is unknown, is this one itself, or has other classes.
    """
    name = extra(job.config, job.dataset, job.trained)
    if not name:
        return job.groups
    if name == job.dataset:
        raise FairgenError(
            f"config: methods.{job.method}.pretrain.extra: stage 1 would see {name}'s own images, uncut; name"
            f" another data set, or leave {job.method} out of its comparison"
        )
    found = dataset_block(job.config, name)["groups"]
    if set(each(found, "target").values()) != set(job.classes):
        raise FairgenError(
            f"config: methods.{job.method}.pretrain.extra: {name} has other classes than {job.dataset}"
        )
    return found


def finetune(job: Job) -> Config:
    """Stage 2: the method's own recipe, and the classifier."""
    return {
        **recipe(job.config, job.dataset, job.trained),
        **network(job.block("classifier")),
        "classes": job.classes,
        "targets": each(job.groups, "target"),
        "groups": list(job.groups),
    }


def metrics(job: Job) -> Config:
    """The groups that accuracies are of."""
    return {"groups": fields(job.groups, "target", "bias", "role"), "classes": job.classes}


def audit_synthetic(job: Job) -> Config:
    """The data set, for the titles."""
    return {"dataset": job.dataset}


def worst_group(job: Job) -> Config:
    """What the data set's table compares, and the config that it belongs to."""
    return {**compared.comparison(job.config, job.dataset), **compared.identity(job.config, job.dataset)}


def ablation(job: Job) -> Config:
    """The same of an ablation."""
    given = (job.config, job.dataset, job.ablation)
    return {"name": job.ablation, "table": {**compared.comparison(*given), **compared.identity(*given)}}


def replicates(job: Job) -> Config:
    """The data sets that are replicates of this one, and the ablation of which their tables are."""
    listed = compared.replicates(job.config, job.dataset)
    return {"dataset": job.dataset, "replicates": listed, "ablation": job.ablation}


def figures(job: Job) -> Config:
    """What the table compares, and the groups in their order."""
    return {**compared.comparison(job.config, job.dataset), "groups": list(job.groups)}


def pages(job: Job) -> Config:
    """The data set, for the titles."""
    return {"dataset": job.dataset}


def browse(job: Job) -> Config:
    """What the page shows, how much of it, and whose costs it counts."""
    given = (job.config, job.dataset)
    sets, owners = compared.synthetic_sets(*given), compared.owners(*given)
    computing = [name for name, stage in STAGES.items() if stage.computes]
    return {**figures(job), "sets": sets, "owners": owners, "computing": computing, **job.block("browse")}


def check(job: Job) -> Config:
    """What a run would do."""
    shown = compared.comparison(job.config, job.dataset)
    for method in shown["compare"]:
        stage_one_groups(Job(job.config, job.dataset, method))  # tells where stage 1 could not run
    return {
        "dataset": job.dataset,
        "ratios": shown["ratios"],
        "prompts": each(job.groups, "prompt"),
        "donors": each(job.groups, "donor"),
        "base": base(job),
        "generators": compared.generators(job.config, job.dataset, shown["compare"]),
        "by_prompt": compared.by_prompt(job.config, job.dataset, shown["compare"]),
        "classifiers": prod(len(shown[k]) for k in ("ratios", "compare", "seeds")),
    }


PREPARING = (draw, index, decode, split, embed, cluster)
GENERATING = (prior, adapt, sample, score, score_second, filter, audit, audit_synthetic)
JUDGING = (pretrain, finetune, metrics, worst_group, ablation, replicates, figures, pages, browse, check)
BUILD: dict[str, Callable[[Job], Config]] = {
    **{function.__name__: function for function in (*PREPARING, *GENERATING, *JUDGING)},
    "adapt_shared": adapt,
    "ablation_replicates": replicates,
}


def settings(config: Config, dataset: str, stage: str, *wildcards: str | None, **named: str | None) -> str:
    """The canonical JSON that a stage's job gets; after the stage come its method, group and ablation, as
    `Job` has them.
    """
    return canonical(
        {**BUILD[stage](Job(config, dataset, *wildcards, **named)), "threads": config["threads"]}
    )
