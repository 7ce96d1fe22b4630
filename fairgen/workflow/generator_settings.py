"""The settings of the stages that generate images, choose among them and audit them; see `stage_settings`."""

from fairgen.workflow import method_chain
from fairgen.workflow.job_settings import Job, each
from fairgen.workflow.method_chain import Config, chosen

# keys of `adapt` that were added later, with what changes nothing: left out of the settings, so that adapters
# from before they were there stay what they are
NEUTRAL = {"weighting": "none", "shift": 1, "crop": "centre", "captions": 0, "select": "last"}


def base(job: Job) -> Config:
    """The base model; its `memory` only if that is low."""
    return {k: v for k, v in job.block("diffusion").items() if (k, v) != ("memory", "normal")}


def solver(found: Config) -> Config:
    """How images are drawn; with an interval only where that leaves out some of the guidance, and a batch of
    0 where the device decides.
    """
    whole = found["guidance_interval"] == [0, 1] or found["guidance"] <= 1
    own = {k: v for k, v in found.items() if k != "guidance_interval" or not whole}
    return {**own, "batch": 0 if found["batch"] == "auto" else found["batch"]}


def prior(job: Job) -> Config:
    """The class images of one group."""
    found = job.block("prior")
    own = {**found, "solver": solver(found["solver"])}
    return {"prompts": each(job.own, "prompt"), "base": base(job), **own}


def adapt(job: Job) -> Config:
    """The chosen recipe on the base, for one group; which of the two stages runs (`shared`) and in how many
    processes changes no setting of it, nor does a key with its neutral value.
    """
    found = chosen(job.block("adapt"))
    others = companions(job) if found["companions"] else []
    found = {k: v for k, v in found.items() if k not in ("shared", "process", "companions")}
    found = {k: v for k, v in found.items() if k not in NEUTRAL or v != NEUTRAL[k]}
    if "recipe" in found:
        found["recipe"] = {k: v for k, v in found["recipe"].items() if (k, v) != ("compile", False)}
    return {
        **found,
        **({"companions": others} if others else {}),
        "base": base(job),
        "prompts": prompts(job, others),
        "donors": each(job.own, "donor"),
    }


def prompts(job: Job, others: list[str]) -> Config:
    """The prompts of the job's own group and of others."""
    return each({**job.own, **{name: job.groups[name] for name in others}}, "prompt")


def companions(job: Job) -> list[str]:
    """The other aligned groups, for a group whose generators may be borrowed, and for a conflicting one,
    which has few images of its own.
    """
    lends = (
        method_chain.may_borrow(job.config, job.dataset, job.trained)
        and job.group in each(job.groups, "donor").values()
    )
    aligned = [name for name, group in job.groups.items() if group["role"] == "aligned"]
    return [name for name in aligned if name != job.group] if lends or job.group not in aligned else []


def sample(job: Job) -> Config:
    """How a group's images are drawn: with the base's guidance, or that of generators finetuned in this way,
    which a group may borrow from its donor.
    """
    found, adapted = job.block("sample"), job.block("adapt")
    kind = adapted["kind"]
    own = {} if kind == "none" else {"guidance": found["guidance_adapted"][kind]}
    donors = each(job.own, "donor")
    borrows = method_chain.may_borrow(job.config, job.dataset, job.trained)
    lenders = [name for name in donors.values() if name and borrows]
    left_out = ("guidance_adapted", *(() if lenders else ("borrowed_guidance",)))
    return {
        **{k: v for k, v in found.items() if k not in left_out},
        "solver": solver({**found["solver"], **own}),
        "token": adapted["token"],
        "base": base(job),
        "prompts": prompts(job, lenders),
        "donors": donors,
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


def audit_synthetic(job: Job) -> Config:
    """The data set, for the titles."""
    return {"dataset": job.dataset}


GENERATING = (prior, adapt, sample, score, score_second, filter, audit, audit_synthetic)
