"""The stages in the order of the DAG, each with its wing and what of its cost depends on what: the one list
of them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A stage is the module `fairgen.<wing>.<name>`, a rule of the wing's rule file, and a function in
    `stage_settings`.
    """

    wing: str
    computes: bool = False  # on the data set's device
    of_data: bool = True  # its time depends on how much data there is
    of_samples: bool = False  # and on how many images are drawn


STAGES = {
    "draw": Stage("data"),
    "index": Stage("data"),
    "decode": Stage("data"),
    "split": Stage("data"),
    "embed": Stage("data", computes=True),
    "cluster": Stage("data"),
    "prior": Stage("generate", computes=True, of_data=False),
    "adapt": Stage("generate", computes=True, of_data=False),
    "adapt_shared": Stage("generate", computes=True, of_data=False),
    "sample": Stage("generate", computes=True, of_data=False),
    "score": Stage("generate", computes=True, of_samples=True),
    "score_second": Stage("generate", computes=True, of_samples=True),
    "filter": Stage("generate", of_samples=True),
    "pretrain": Stage("classify", computes=True, of_samples=True),
    "finetune": Stage("classify", computes=True),
    "metrics": Stage("evaluate"),
    "worst_group": Stage("evaluate"),
    "ablation": Stage("evaluate"),
    "replicates": Stage("evaluate"),
    "ablation_replicates": Stage("evaluate"),
    "audit": Stage("evaluate", computes=True, of_samples=True),
    "audit_synthetic": Stage("evaluate"),
    "figures": Stage("report"),
    "pages": Stage("report"),
    "browse": Stage("report"),
    "check": Stage("report"),
}


def module(stage: str) -> str:
    """The module that a rule runs."""
    return f"fairgen.{STAGES[stage].wing}.{stage}"
