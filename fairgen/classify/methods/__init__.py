"""One file per classifier method.

Each has `Recipe`, the settings of its block under `finetune`; `LABELS`, what it uses group labels for besides
selection; and `train(network, problem, recipe)`, which leaves the selected weights in the network.
"""

import importlib
from types import ModuleType

NAMES = ("erm", "reweight", "resample", "groupdro", "jtt", "george", "augment", "head", "ffr", "none", "dfr")


def method(name: str) -> ModuleType:
    """The module of one method."""
    return importlib.import_module(f"fairgen.classify.methods.{name}")
