"""Before the first job: what the settings of one method cannot do together, by arithmetic alone."""

from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec

from fairgen.workflow.compared import replicates
from fairgen.workflow.method_chain import ON_ONE_SCALE, Config, dataset_block
from fairgen.workflow.preflight.findings import NOTE, Case, Finding
from fairgen.workflow.stage_settings import drawn_alike


def quotas(case: Case) -> Iterator[Finding]:
    """A group cannot keep more images than are drawn of it, nor, if it may not have fewer, than the threshold
    lets through.
    """
    for methods, (found, drawn) in case.sharing(case.drawing, "filter", "sample.per_group"):
        by, threshold, quota = found["by"], found["threshold"], found["quota"]
        where = f"of {methods} on {case.dataset}"
        if by in ON_ONE_SCALE and threshold > 1:
            yield Finding(
                f"config: filter.threshold: a {by} is never over 1, and {where} it is {threshold}; lower it"
            )
            continue
        if found["balance"] == "data":
            where = f"of the largest group {where} (of {quota} on average, by filter.balance: data)"
            quota = int(quota * largest(case))
        passed = sum((i + 0.5) / drawn >= threshold for i in range(drawn)) if by == "quantile" else drawn
        fewer = found["allow_shortfall"]
        if quota > (drawn if fewer else passed):
            of = f"{drawn} images of sample.per_group" + (
                f" of which {passed} pass filter.threshold" if passed < drawn and not fewer else ""
            )
            instead = (
                "lower it, or raise sample.per_group"
                if fewer
                else "lower it, raise sample.per_group, or set filter.allow_shortfall: true"
            )
            yield Finding(f"config: filter.quota: {quota} images {where} are more than the {of}; {instead}")


def largest(case: Case) -> float:
    """Training images of the largest group at the highest bias ratio, in means over all groups: at least so
    many, whatever the classes' sizes; 1 where no ratio cuts the data.
    """
    ratios = [ratio for ratio in case.block("ratios") if ratio != "natural"]
    aligned = Counter(group["target"] for group in case.groups.values() if group["role"] == "aligned")
    classes = {group["target"] for group in case.groups.values()}
    share = max(ratios, default=0) / max(aligned.values(), default=1)
    return max(1.0, len(case.groups) * share / len(classes))


def opinions(case: Case) -> Iterator[Finding]:
    """A second scorer is asked by a rule that means something to it."""
    for methods, (by, second) in case.sharing(case.drawing, "filter.by", "score.second"):
        if second and by not in ON_ONE_SCALE:
            yield Finding(
                f"config: score.second: {second} is not asked about the samples of {methods} on"
                f" {case.dataset}, whose filter.by is {by}; its acceptance is shown for probability"
                " and quantile",
                NOTE,
            )


def shares(case: Case) -> Iterator[Finding]:
    """Every cluster's generator draws some images."""
    keys = "cluster.k", "sample.floor", "sample.per_group"
    for methods, (k, floor, drawn) in case.sharing(case.adapting, *keys):
        least = max(1, floor) * k
        if least > drawn:
            yield Finding(
                f"config: sample.floor: {k} clusters of {methods} on {case.dataset} draw {least} images at"
                f" least, over sample.per_group = {drawn}; lower cluster.k or sample.floor, or"
                " raise sample.per_group",
                NOTE,
            )


def recipes(case: Case) -> Iterator[Finding]:
    """The optimizer's package is there, and a weight on class images comes with class images in a batch."""
    for methods, (adapt,) in case.sharing(case.adapting, "adapt"):
        kind, recipe = adapt["kind"], adapt[adapt["kind"]]
        if recipe["prior_weight"] > 0 and not recipe["prior_batch"]:
            yield Finding(
                f"config: adapt.{kind}.prior_batch: {methods} on {case.dataset} weighs class images by"
                f" prior_weight = {recipe['prior_weight']}, but takes none of them; set prior_batch to 1 or"
                " more, or prior_weight: 0"
            )
        if recipe["optimizer"] == "adamw8bit" and find_spec("torch") and not find_spec("bitsandbytes"):
            yield Finding(
                f"config: adapt.{kind}.optimizer: adamw8bit of {methods} on {case.dataset} needs"
                " bitsandbytes; `pip install bitsandbytes`, or set adamw"
            )


def replicated(config: Config, dataset: str) -> Iterator[Finding]:
    """Replicates that fairgen draws are tried on test rows of their own."""
    names = replicates(config, dataset)
    for number, other in enumerate(names):
        own = dataset_block(config, other)
        alike = (name for name in names[:number] if drawn_alike(dataset_block(config, name), own))
        if one := next(alike, None):
            yield Finding(
                f"config: replicates.{dataset}: {other} draws the same images as {one}, so that both are"
                f" tried on the same test rows; give it a seed of its own (datasets.{other}.options.seed)",
                NOTE,
            )
