"""One file per classifier method; each has `train(network, problem, recipe)`, which leaves the selected weights."""

import importlib
from types import ModuleType

NAMES = ("erm", "groupdro", "head")


def method(name: str) -> ModuleType:
    """The module of one method."""
    return importlib.import_module(f"fairgen.methods.{name}")
