"""The settings that each stage's jobs get, one function per stage: what is tracked is what is used.

Pure functions of the config and a job's wildcards; nothing heavy is imported here. Those of the stages that
generate images stand in `generator_settings`.
"""

from collections.abc import Callable

from fairgen.core.errors import FairgenError
from fairgen.core.settings import canonical
from fairgen.data.subset import ANY
from fairgen.workflow import compared
from fairgen.workflow.generator_settings import GENERATING, adapt, base
from fairgen.workflow.job_settings import Job, attributes, each, fields, network
from fairgen.workflow.method_chain import Config, block, dataset_block, extra, recipe
from fairgen.workflow.scopes import aligned
from fairgen.workflow.stages import STAGES


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
    """The groups' classes and roles, which the ratio cuts by, and how; what ratios share is not cut."""
    cut = {} if job.scope == ANY else job.block("split")
    return {"groups": fields(job.groups, "target", "role"), **cut}


def embed(job: Job) -> Config:
    """The encoder."""
    return job.block("embed")


def cluster(job: Job) -> Config:
    """How k-means runs."""
    return job.block("cluster")


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
        FairgenError: that data set is unknown, is this one or draws the same, or has other classes.
    """
    name = extra(job.config, job.dataset, job.trained)
    if not name:
        return job.groups
    if name == job.dataset:
        raise FairgenError(
            f"config: methods.{job.method}.pretrain.extra: stage 1 would see {name}'s own images, uncut; name"
            f" another data set, or leave {job.method} out of its comparison"
        )
    if drawn_alike(job.data, dataset_block(job.config, name)):
        raise FairgenError(
            f"config: methods.{job.method}.pretrain.extra: {name} draws with the seed of {job.dataset}, so"
            " that what the ratio leaves out of training, or much the same, would come back; give it another"
            f" (datasets.{name}.options.seed)"
        )
    found = dataset_block(job.config, name)["groups"]
    if set(each(found, "target").values()) != set(job.classes):
        raise FairgenError(
            f"config: methods.{job.method}.pretrain.extra: {name} has other classes than {job.dataset}"
        )
    return found


def drawn_alike(one: Config, other: Config) -> bool:
    """Whether two data sets are drawn from the same random numbers; their looks may be nearer or farther."""
    drawn = one["format"] == other["format"] == "birds"
    return drawn and all(one["options"][key] == other["options"][key] for key in ("stream", "seed"))


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
    trained = {"trained": compared.trained(*given), "pretrained": compared.pretrained(*given)}
    own = {"sets": sets, "owners": owners, **trained, "computing": computing}
    return {**figures(job), **own, **job.block("browse")}


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
        "aligned": aligned(job.config, job.dataset),
        "classifiers": len(shown["ratios"])
        * len(shown["seeds"])
        * len(compared.trained(job.config, job.dataset)),
    }


PREPARING = (draw, index, decode, split, embed, cluster)
JUDGING = (pretrain, finetune, metrics, worst_group, ablation, replicates, figures, pages, browse, check)
BUILD: dict[str, Callable[[Job], Config]] = {
    **{function.__name__: function for function in (*PREPARING, *GENERATING, *JUDGING)},
    "adapt_shared": adapt,
    "ablation_replicates": replicates,
}


def settings(config: Config, dataset: str, stage: str, *wildcards: str | None, **named: str | None) -> str:
    """The canonical JSON that a stage's job gets; after the stage come its method, group, ablation and
    scope, as `Job` has them.
    """
    return canonical(
        {**BUILD[stage](Job(config, dataset, *wildcards, **named)), "threads": config["threads"]}
    )
