"""Which options an export takes: one that cannot apply is refused by its name, rather than dropped."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from fairgen.commands.exports import card
from fairgen.core.errors import FairgenError
from fairgen.models import single_file
from fairgen.models.checkpoints import locate

BASE = ("model", "config", "revision", "variant")
DEFAULTS = {"dtype": "float32", "input": "uint8", "license": card.UNKNOWN}
# of each kind, and of one layout
KINDS = {"adapter": (*BASE, "dtype"), "dataset": ("rejected",), "classifier": ()}
LAYOUTS = {"onnx": ("input",)}
ALL = (*BASE, "dtype", "rejected", "input")


def check(options: Namespace, kind: str) -> None:
    """The options that were given are of this kind and layout; fill in those that were not.

    Raises:
        FairgenError: one of them is not.
    """
    own = (*KINDS[kind], *LAYOUTS.get(options.layout, ()))
    for name in ALL:
        if getattr(options, name) and name not in own:
            raise needless(name, f"{options.layout}, as {options.source} is exported, has no such choice")
    for name, value in DEFAULTS.items():
        setattr(options, name, getattr(options, name) or value)


def check_base(options: Namespace, facts: dict[str, Any]) -> None:
    """What is said of an adapter's base says something.

    Raises:
        FairgenError: an option of it changes nothing.
    """
    single = bool(options.model) and single_file.is_one(options.model)
    for name in BASE:
        given = bool(getattr(options, name))
        if given and options.layout == "diffusers" and facts["kind"] == "lora":
            raise needless(name, "LoRA in diffusers' layout is written without its base")
    if options.revision and not options.model:
        raise needless(
            "revision", "the adapter's own base has the commit that it was trained on; name one with --model"
        )
    if options.revision and Path(locate(options.model)).exists():
        raise needless("revision", f"{options.model} lies here and has none")
    if options.config and not single:
        raise needless("config", "it describes a single file, which --model names")
    if options.variant and single:
        raise needless("variant", f"{options.model} is a single file, which has none")


def needless(name: str, reason: str) -> FairgenError:
    """The line for an option that would change nothing."""
    return FairgenError(f"--{name.replace('_', '-')}: {reason}; leave it out")
