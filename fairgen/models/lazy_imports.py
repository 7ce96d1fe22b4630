"""Import diffusers and transformers without the hundreds of modules that they load on the way, about a second
a job.

Two of their habits cost every job time: package files that import every architecture there is, and optional
packages that are imported because they are installed. Inside `with lean():` the former wait until a name of
theirs is asked for, and the latter look as if they were absent.
"""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType

EAGER = ("diffusers.models.unets", "diffusers.models.transformers", "diffusers.models.autoencoders")
OPTIONAL = ("scipy", "sklearn")
ASKING = ("diffusers", "transformers")  # they ask once whether an optional package is there


class Deferred(ModuleType):
    """A package whose own file runs when the first of its names is asked for; its submodules import as
    always.
    """

    def __getattr__(self, name: str) -> object:
        """Run the package's file, then look again."""
        if name.startswith("__"):
            raise AttributeError(name)
        self.__class__ = ModuleType  # type: ignore[assignment]
        self.__spec__.loader.exec_module(self)  # type: ignore[union-attr]
        return getattr(self, name)


@contextmanager
def lean() -> Iterator[None]:
    """Defer the eager packages, and hide the optional ones that are not loaded yet while the block runs.

    Where diffusers or transformers was imported before the first block, they may have seen an optional
    package and count on it, so none is hidden.
    """
    hidden = [name for name in optional() if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: cannot be imported
    try:
        for name in EAGER:
            if name not in sys.modules:
                defer(name)
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@cache
def optional() -> tuple[str, ...]:
    """The packages to hide; decided at the first call."""
    return () if any(name in sys.modules for name in ASKING) else OPTIONAL


def defer(name: str) -> None:
    """Put a deferred package in the place of one that is not imported yet."""
    parent, _, child = name.rpartition(".")
    holder = importlib.import_module(parent)
    spec = importlib.util.find_spec(name)
    assert spec is not None
    package = importlib.util.module_from_spec(spec)
    package.__class__ = Deferred
    sys.modules[name] = package
    setattr(holder, child, package)
