"""`fairgen init`: from a folder or a label table to a complete entry in a config file of the user's own."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from fairgen.core.errors import FairgenError
from fairgen.core.schemas import nearest
from fairgen.core.settings import read
from fairgen.data import proposal, recognition
from fairgen.data.labels import Attribute
from fairgen.data.proposal import FEW, Group
from fairgen.data.recognition import Layout, Seen
from fairgen.workflow import job_settings, names, project

SHOWN = 6  # values of an attribute that are listed
# every stage at the size of the embedded models, so that the chain can be tried without a GPU
TRIAL: dict[str, Any] = {
    "ratios": ["natural"],
    "seeds": [0, 1],
    "compare": ["erm", "vanilla", "lora"],
    "split": {"validation_floor": 1},
    "embed": {"encoder": {"model": "fairgen:embedded/weights/clip"}, "batch": 256},
    "diffusion": {"model": "fairgen:embedded/weights/diffusion", "dtype": "float32", "resolution": 32},
    "prior": {"count": 16, "solver": {"steps": 4, "guidance": 2, "batch": 16}},
    "adapt": {"borrow_below": 5, "lora": {"lr": 1e-3, "steps": 20, "batch": 8}},
    "sample": {"per_group": 24, "solver": {"steps": 6, "guidance": 2, "batch": 24}},
    "score": {"model": "fairgen:embedded/weights/clip"},
    "filter": {"by": "quantile", "threshold": 0.25, "quota": 16},
    "classifier": {
        "model": "resnet10t",
        "args": {"channels": [32, 64, 128, 256], "stem_width": 16},
        "pretrained": False,
        "resolution": 32,
    },
    "pretrain": {"steps": 20, "batch": 32, "lr": 1e-3},
    "finetune": {kind: {"steps": 20, "batch": 32, "evaluate_every": 10} for kind in ("erm", "head")},
}
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
    output = options.output or Path(f"{options.name}.yaml")
    if output.exists():
        raise FairgenError(f"{output} exists; remove it, or name another file with --output")
    layout = recognition.recognised(options.place)
    seen = recognition.seen(layout)
    print(overview(layout, seen))
    ask = answer if options.interactive else None
    usual = None if options.target or options.bias else published(layout)
    if usual and ask is None:
        target, bias, groups = usual[0], usual[1], proposal.counted(seen, *usual)
    else:
        target, bias = attributes(seen, options.target, options.bias, ask)
        groups = proposal.groups(seen, target, bias)
    if ask:
        groups = {
            name: replace(group, prompt=ask(f"prompt of {name}", group.prompt))
            for name, group in groups.items()
        }
    text = entry(options.name, layout, seen, (target, bias), groups)
    output.write_text(text, encoding="utf-8")
    print(f"\n{table(groups)}\n\n{output} holds the entry. Read its prompts, then\n")
    print("\n".join(f"  {line}" for line in steps(options.name, output)))


def published(layout: Layout) -> tuple[Attribute, Attribute, dict[str, Group]] | None:
    """The entry that the workflow's own config has for a published data set, if it has one."""
    try:
        entries = project.config([])["datasets"]
        own = entries[layout.format]
        (target,), (bias,) = (
            [read(Attribute, one) for one in job_settings.attributes(own[key])] for key in ("target", "bias")
        )
        groups = {name: Group(**group, count=0) for name, group in own["groups"].items()}
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, FairgenError):
        return None
    return target, bias, groups


def answer(question: str, default: str) -> str:
    """What is typed; nothing keeps the default.

    Raises:
        FairgenError: nobody is there to ask.
    """
    try:
        return input(f"{question} [{default}]: ").strip() or default
    except EOFError as error:
        raise FairgenError("--interactive: the input has ended; call it in a terminal") from error


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
        except FairgenError as error:
            print(error, file=sys.stderr)


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


def listed(seen: Seen) -> list[str]:
    """A line for each attribute: its values with their counts."""
    found = []
    for name in seen.attributes:
        counts = seen.counts(name)
        shown = ", ".join(f"{word} {count}" for word, count in counts.most_common(SHOWN))
        more = f", … ({len(counts)} values)" if len(counts) > SHOWN else ""
        found.append(" ".join(f"{name}: {shown or 'empty'}{more}".split()))
    return found


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


def steps(name: str, output: Path) -> list[str]:
    """The commands that come next."""
    extra, run = f"--configfile {output}", project.caller()
    return [
        f"fairgen check {name} {extra}   # what the data hold and what a run would do",
        f"{run} --cores 2 {extra} -- results/{name}-trial/worst_group.json   # every stage in miniature,"
        " some minutes without a GPU",
        f"{run} --cores 2 {extra} -- results/{name}-trial/report.html   # the page to look at",
        f"{run} --cores 8 {extra} -- results/{name}/worst_group.json   # the comparison",
    ]


def entry(
    name: str, layout: Layout, seen: Seen, chosen: tuple[Attribute, Attribute], groups: dict[str, Group]
) -> str:
    """The config file."""
    target, bias = chosen
    strength = proposal.association(seen, target, bias)
    block = {
        "format": layout.format,
        "root": str(layout.root),
        "gpu": 1,
        "options": layout.options,
        "target": proposal.block(target),
        "bias": proposal.block(bias),
    }
    notes = {
        "gpu": "GPUs of each job; 0 computes on the CPU",
        "options": "of this layout (docs/data.md)",
        "target": "values: the name of a class and the data's words for it",
        "bias": f"tied to the target by Cramér's V = {strength:.2f} (0: not at all, 1: wholly)",
    }
    lines = [
        f"# {name}: {len(seen.rows)} images in {layout.root}; written by `fairgen init`, {date.today()}.",
        "# It is merged over fairgen's config.yaml, whose comments say what else can be set.",
        "#",
        *(f"#   {step}" for step in steps(name, Path(f"{name}.yaml"))),
        "#",
        "# The attributes of the data, with the number of images of their values:",
        *(f"#   {line}" for line in listed(seen)),
        "datasets:",
        f"  {name}:",
    ]
    for key, value in block.items():
        note = f"   # {notes[key]}" if key in notes else ""
        lines.append(f"    {key}: {flow(value)}{note}")
    lines += [
        "    # [V] is where the rare word of a finetuned generator goes. A prompt should say what is seen in",
        "    # the pictures of its group, as a caption would. aligned: together more often than chance has",
        "    # it; conflicting: rarer, and drawn by its donor's generators where it has too few images.",
        "    groups:",
    ]
    for group, own in groups.items():
        values = {key: value for key, value in vars(own).items() if key != "count"}
        lines.append(f"      {group}: {flow(values)}   # {own.count} images")
    lines += [
        "    settings:",
        "      ratios: [natural]   # the data as they are; 0.9, 0.99, … cut conflicting groups for a study",
        "",
        "  # Every stage on the tiny embedded models, to see that the data pass; its figures mean nothing.",
        f"  {name}-trial:",
        f"    like: {name}",
        "    gpu: 0",
        "    settings:",
        *(f"      {key}: {flow(value)}" for key, value in TRIAL.items()),
    ]
    return "\n".join(lines) + "\n"


def flow(value: Any) -> str:
    """A value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True)
    return text.strip().removesuffix("...").strip()
