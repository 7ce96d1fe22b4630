"""Snakemake in a copy of the workflow does not load its executor plugins, a quarter of a call's time, unless
a profile or an executor is asked for, or it is a job of one: as where they are not installed.
"""

import pkgutil
import sys
from collections.abc import Iterator

PREFIX = "snakemake_executor_plugin_"
every = pkgutil.iter_modules


def others(*words: object, **options: object) -> Iterator[pkgutil.ModuleInfo]:
    """All modules but the plugins."""
    return (found for found in every(*words, **options) if not found.name.startswith(PREFIX))


if not {"--workflow-profile", "--executor", "--mode"} & set(sys.orig_argv):
    pkgutil.iter_modules = others
