"""`fairgen init`: from a folder or a label table to a complete entry in a config file of the user's own."""

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from fairgen.commands.init_entry import entry, listed, steps
from fairgen.core.errors import FairgenError
from fairgen.core.schemas import nearest
from fairgen.core.settings import read
from fairgen.data import proposal, recognition
from fairgen.data.labels import Attribute
from fairgen.data.proposal import FEW, Group
from fairgen.data.recognition import Layout, Seen
from fairgen.generate.prompts import PLACE
from fairgen.workflow import job_settings, names, project

WEAK = 0.1  # Cramér's V below which there is hardly a bias
Ask = Callable[[str, str], str]  # a question and its default to an answer


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `fairgen init`."""
    parser.add_argument("name", help="how the data set is called from now on, in results/<name>/")
    parser.add_argument("place", type=Path, help="a folder of images, or a label table in it")
    parser.add_argument("--target", help="the attribute that is classified (default: proposed)")
    parser.add_argument(
        "--bias", help="the attribute that the classifier must not lean on (default: proposed)"
    )
    parser.add_argument("--output", type=Path, help="the config file to write (default: <name>.yaml)")
    parser.add_argument("--interactive", action="store_true", help="ask for target, bias and prompts")


def run(options: argparse.Namespace) -> None:
    """Write the entry, and print what was found and what to do next.

    Raises:
        FairgenError: the name or the output cannot be used, or the data cannot be read.
    """
    if not names.valid(options.name):
        raise FairgenError(f"'{options.name}' is no name of a data set; take {names.RULE}")
    usual = config()
    for name in (options.name, f"{options.name}-trial"):
        if name in usual.get("datasets", {}):
            raise FairgenError(
                f"'{name}' is a data set of config.yaml, over which the file would be merged; take another"
                f" name, for example my-{options.name}"
            )
    output = options.output or Path(f"{options.name}.yaml")
    if output.is_symlink() or output.exists():
        raise FairgenError(f"{output} exists; remove it, or name another file with --output")
    if not os.access(output.parent, os.W_OK):
        raise FairgenError(f"{output.parent} is no folder that can be written to; name a file with --output")
    layout = recognition.recognised(options.place)
    seen = recognition.seen(layout)
    print(overview(layout, seen))
    ask = answer if options.interactive else None
    known = None if options.target or options.bias or ask else published(layout, usual)
    if known:
        target, bias, ratios = known[0], known[1], known[3]
        groups = proposal.counted(seen, *known[:3])
    else:
        target, bias = attributes(seen, options.target, options.bias, ask)
        groups, ratios = proposal.groups(seen, target, bias), ["natural"]
    if ask:
        groups = {
            name: replace(own, prompt=prompt_for(name, own.prompt, ask)) for name, own in groups.items()
        }
    text = entry(options.name, layout, seen, (target, bias), groups, ratios, output)
    output.write_text(text, encoding="utf-8")
    print(f"\n{table(groups)}")
    if ratios == ["natural"] and (strength := proposal.association(seen, target, bias)) < WEAK:
        print(
            f"{target.attribute} and {bias.attribute} are hardly tied (Cramér's V = {strength:.2f}), so there"
            " is little bias to remove: name others with --target and --bias, or make one by ratios: [0.9] in"
            " the entry"
        )
    print(f"\n{output} holds the entry. Read its prompts, then\n")
    print("\n".join(f"  {line}" for line in steps(options.name, output)))


def config() -> dict[str, Any]:
    """The config that the file will be merged over; empty where there is none or it cannot be read."""
    try:
        return project.config([])
    except (OSError, yaml.YAMLError, FairgenError):
        return {}


def published(
    layout: Layout, usual: dict[str, Any]
) -> tuple[Attribute, Attribute, dict[str, Group], list[Any]] | None:
    """The entry that the workflow's own config has for a published data set, if it has one, with its
    ratios.
    """
    try:
        own = usual["datasets"][layout.format]
        (target,), (bias,) = (
            [read(Attribute, one) for one in job_settings.attributes(own[key])] for key in ("target", "bias")
        )
        groups = {name: Group(**group, count=0) for name, group in own["groups"].items()}
        ratios = own["settings"].get("ratios", usual["ratios"])
    except (KeyError, TypeError, ValueError, FairgenError):
        return None
    return target, bias, groups, ratios


class UnansweredError(FairgenError):
    """Nobody is there to ask."""


def answer(question: str, default: str) -> str:
    """What is typed; nothing keeps the default.

    Raises:
        UnansweredError: the input has ended.
    """
    try:
        return input(f"{question} [{default}]: ").strip() or default
    except EOFError as error:
        raise UnansweredError("--interactive: the input has ended; call it in a terminal") from error


def attributes(
    seen: Seen, target: str | None, bias: str | None, ask: Ask | None
) -> tuple[Attribute, Attribute]:
    """Target and bias as named, proposed or asked for.

    Raises:
        FairgenError: they cannot be used; where one can ask, the question is put again.
    """
    found = proposal.proposed(seen, target, bias)
    if ask is None:
        return found
    first = ask_for(seen, "target", found[0].attribute, ask)
    again = proposal.proposed(seen, first, bias if bias != first else None)
    while True:
        try:
            return proposal.proposed(seen, first, ask_for(seen, "bias", again[1].attribute, ask))
        except UnansweredError:
            raise
        except FairgenError as error:
            print(error, file=sys.stderr)


def prompt_for(group: str, default: str, ask: Ask) -> str:
    """A group's prompt, with the place of the rare word in it."""
    while PLACE not in (prompt := ask(f"prompt of {group}", default)):
        print(f"a prompt needs {PLACE}, before the noun: {default}", file=sys.stderr)
    return prompt


def ask_for(seen: Seen, what: str, default: str, ask: Ask) -> str:
    """The name of an attribute that can be used."""
    usable = list(proposal.choices(seen))
    while (name := ask(f"{what} ({', '.join(usable)})", default)) not in usable:
        print(f"'{name}' is none of them; {nearest(name, usable)}", file=sys.stderr)
    return name


def overview(layout: Layout, seen: Seen) -> str:
    """The layout, and the attributes with their values, for a terminal."""
    left_out = sum(seen.rejects.values())
    lines = [
        f"{layout.root}: {len(seen.rows)} images in the layout {layout.format}"
        + (f", {left_out} files or rows left out" if left_out else "")
    ]
    named = {split: count for split, count in seen.splits.items() if split}
    lines += [f"  splits: {', '.join(f'{s} {n}' for s, n in named.items())}"] if named else []
    return "\n".join([*lines, *(f"  {line}" for line in listed(seen))])


def table(groups: dict[str, Group]) -> str:
    """The groups with their roles and counts, and a word about those that are small."""
    width = max(map(len, groups))
    lines = [f"{name:<{width}}  {group.role:<11}  {group.count:>7} images" for name, group in groups.items()]
    small = [name for name, group in groups.items() if group.count < FEW]
    lines += [
        f"{', '.join(small)}: so few images that their figures will say little; take other attributes, or"
        " name the values in the entry otherwise"
    ] * bool(small)
    return "\n".join(lines)
