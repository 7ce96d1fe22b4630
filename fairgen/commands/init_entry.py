"""The config file that `fairgen init` writes: the entry with its comments, and a small trial of it."""

import shlex
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from fairgen.data import proposal
from fairgen.data.labels import Attribute
from fairgen.data.proposal import Group
from fairgen.data.recognition import Layout, Seen
from fairgen.workflow import project

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


def listed(seen: Seen) -> list[str]:
    """A line for each attribute: its values with their counts."""
    found = []
    for name in seen.attributes:
        counts = seen.counts(name)
        shown = ", ".join(f"{word} {count}" for word, count in counts.most_common(SHOWN))
        more = f", … ({len(counts)} values)" if len(counts) > SHOWN else ""
        found.append(" ".join(f"{name}: {shown or 'empty'}{more}".split()))
    return found


def steps(name: str, output: Path) -> list[str]:
    """The commands that come next."""
    extra, run = f"--configfile {shlex.quote(str(output))}", project.caller()
    return [
        f"fairgen check {name} {extra}   # what the data hold and what a run would do",
        f"{run} --cores 2 {extra} -- results/{name}-trial/worst_group.json   # every stage in miniature,"
        " some minutes without a GPU",
        f"{run} --cores 2 {extra} -- results/{name}-trial/report.html   # the page to look at",
        f"{run} --cores 8 {extra} -- results/{name}/worst_group.json   # the comparison",
    ]


def entry(
    name: str,
    layout: Layout,
    seen: Seen,
    chosen: tuple[Attribute, Attribute],
    groups: dict[str, Group],
    ratios: list[Any],
    output: Path,
) -> str:
    """The config file `output`; `ratios` are those of the comparison."""
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
    root = " ".join(str(layout.root).split())
    lines = [
        f"# {name}: {len(seen.rows)} images in {root}; written by `fairgen init`, {date.today()}.",
        "# It is merged over fairgen's config.yaml, whose comments say what else can be set.",
        "#",
        *(f"#   {step}" for step in steps(name, output)),
        "#",
        "# The attributes of the data, with the number of images of their values:",
        *(f"#   {line}" for line in listed(seen)),
        "datasets:",
        f"  {flow(name)}:",
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
        lines.append(f"      {flow(group)}: {flow(values)}   # {own.count} images")
    lines += [
        "    settings:",
        f"      ratios: {flow(ratios)}   # natural: as the data are; 0.9, 0.99, … cut conflicting groups",
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
