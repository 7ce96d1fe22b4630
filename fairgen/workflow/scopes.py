"""What bias ratios share: an artifact lies below `any` where no ratio changes it, else below its ratio's
scope, `bias-<ratio>`. Pure functions of the config.
"""

from fairgen.core.errors import FairgenError
from fairgen.data.subset import ANY
from fairgen.workflow.method_chain import Config, block, dataset_block, extra, finetunes

GENERATED = ("sample", "score", "filter", "pretrain")
OF_GROUPS = ("adapt", "sample")  # stages with artifacts of one group
LIKE = {"adapt_shared": "adapt", "score_second": "score"}  # stages whose artifacts lie where another's do


def aligned(config: Config, dataset: str) -> list[str]:
    """The aligned groups of a data set."""
    groups = dataset_block(config, dataset)["groups"]
    return [name for name, group in groups.items() if group["role"] == "aligned"]


def scope(
    config: Config, dataset: str, method: str, stage: str, wanted: str, group: str | None = None
) -> str:
    """`any` for what no bias ratio changes: generators and samples of an aligned group, which no ratio cuts,
    and all samples of an untouched base model; else the wanted scope.
    """
    if stage in OF_GROUPS and group in aligned(config, dataset):
        return ANY
    untouched = not finetunes(config, dataset, method) or extra(config, dataset, method) is not None
    follows = block(config, dataset, method, "filter")["balance"] == "data" and stage in (
        "filter",
        "pretrain",
    )
    return ANY if stage in GENERATED and untouched and not follows else wanted


def check(
    config: Config, stage: str, dataset: str, asked: str | None, method: str, group: str | None
) -> None:
    """A job's artifacts lie where other jobs look for them; `asked` is the scope that they are asked for in.

    Raises:
        FairgenError: they are asked for below a ratio though none changes them, or below `any` though each
            ratio has its own.
    """
    stage = LIKE.get(stage, stage)
    if asked is None or stage not in ("adapt", *GENERATED, "finetune"):
        return
    shared = scope(config, dataset, method, stage, "", group) == ANY
    if shared != (asked == ANY):
        what = f"{stage} of {', '.join(filter(None, (method, group)))}"
        why = "is the same at every bias ratio" if shared else "differs between bias ratios"
        place = f"results/{dataset}/{ANY if shared else 'bias-<ratio>'}/"
        raise FairgenError(f"results/{dataset}/{asked}/: {what} {why}; ask for it below {place}")
