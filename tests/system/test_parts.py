"""A data set format and a classifier method are added by the lines that docs/architecture.md lists, and by no
others.
"""

import json
import re

import pytest
from pictures import photo
from workflows import PROJECT, TINY, Workflow

FORMAT = '''"""Pictures named <target>-<bias>-<number>.png."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairgen.data.formats import Reject, Row
from fairgen.data.formats.files import walk

LAYOUT = "pictures named <target>-<bias>-<number>.png"


def read(root: Path, options: dict[str, Any]) -> Iterator[Row | Reject]:
    """Yield every file below `root` once, with the attributes `target` and `bias`."""
    for found in walk(root):
        if isinstance(found, Reject):
            yield found
            continue
        words = found.split("-")
        whole = {"target": words[0], "bias": words[1]} if len(words) == 3 else None
        yield Row(found, whole) if whole else Reject(found, "name is of no kind: toy")
'''
METHOD = '''"""ERM whose loss counts only the harder half of a batch."""

import torch

from fairgen.classify.model_selection import Best
from fairgen.classify.problem import Problem
from fairgen.classify.recipe import Recipe
from fairgen.classify.training import fit_all
from fairgen.models.classifier import Network

LABELS = ()


def hard(losses: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    """The mean of the larger half of the losses (n,)."""
    return losses.topk(max(1, len(losses) // 2)).values.mean()


def train(network: Network, problem: Problem, recipe: Recipe) -> Best:
    """Minimise it."""
    return fit_all(network, problem, recipe, hard)
'''
GROUPS = {
    f"{target}-{bias}": {
        **{"target": target, "bias": bias, "role": "aligned" if same else "conflicting", "donor": None},
        "prompt": f"a {bias} {target} [V]",
    }
    for target, bias, same in (
        ("cat", "red", True),
        ("cat", "blue", False),
        ("dog", "blue", True),
        ("dog", "red", False),
    )
}


def lines(heading: str) -> list[str]:
    """The files that the documentation lists for a part."""
    text = (PROJECT / "docs/architecture.md").read_text().split(f"### {heading}\n")[1].split("\n###")[0]
    return re.findall(r"^\d+\. `([^`]+)`", text, re.M)


def replace(workflow: Workflow, file: str, old: str, new: str) -> None:
    """Change a line of the copy."""
    path = workflow.folder / file
    assert path.read_text().count(old) == 1, f"{file}: {old}"
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.slow
def test_a_format_is_added_by_its_lines(workflow: Workflow) -> None:
    assert lines("A data set format")[:3] == [
        "fairgen/data/formats/<name>.py",
        "fairgen/data/formats/__init__.py",
        "rules/config.schema.yaml",
    ]
    (workflow.folder / "fairgen/data/formats/toy.py").write_text(FORMAT)
    replace(workflow, "fairgen/data/formats/__init__.py", '"table", "utkface"', '"table", "toy", "utkface"')
    schema = workflow.folder / "rules/config.schema.yaml"
    schema.write_text(schema.read_text().replace("parquet, table, utkface", "parquet, table, toy, utkface"))
    replace(
        workflow,
        "rules/config.schema.yaml",
        "[celeba, fairface, folder, parquet, utkface]",
        "[celeba, fairface, folder, parquet, toy, utkface]",
    )
    for i, group in enumerate(GROUPS):
        for number in range(20):
            path = workflow.folder / f"data/{group}-{number}.png"
            path.parent.mkdir(exist_ok=True)
            photo(100 * i + number, 32).save(path)
    (workflow.folder / "data/notes-on.txt").write_text("x")
    entry = {"format": "toy", "root": "data", "gpu": 0, "options": {}, "groups": GROUPS, "settings": {}}
    entry |= {"target": {"attribute": "target"}, "bias": {"attribute": "bias"}}
    workflow.edit({"datasets": {"pets": entry}, "index": {"max_rejected": 0.1}})
    done = workflow.run("results/pets/bias-0.99/split.parquet")
    assert done.returncode == 0, done.stderr
    audit = json.loads((workflow.folder / "results/pets/audit.json").read_text())
    assert (audit["read"], audit["indexed"]) == (81, 80)
    assert audit["counts"]["test"] == dict.fromkeys(GROUPS, 2)


@pytest.mark.slow
def test_a_method_is_added_by_its_lines(workflow: Workflow) -> None:
    assert lines("A classifier method")[:5] == [
        "fairgen/classify/methods/<name>.py",
        "fairgen/classify/methods/__init__.py",
        "fairgen/workflow/method_chain.py",
        "config.yaml",
        "rules/config.schema.yaml",
    ]
    (workflow.folder / "fairgen/classify/methods/hard.py").write_text(METHOD)
    replace(workflow, "fairgen/classify/methods/__init__.py", '("erm", ', '("erm", "hard", ')
    schema = "rules/config.schema.yaml"
    replace(workflow, schema, "kind: {enum: [erm, reweight", "kind: {enum: [erm, hard, reweight")
    replace(workflow, schema, "required: [kind, start, erm, ", "required: [kind, start, erm, hard, ")
    replace(
        workflow,
        schema,
        '      erm: {$ref: "#/$defs/recipe"}\n',
        '      erm: {$ref: "#/$defs/recipe"}\n      hard: {$ref: "#/$defs/recipe"}\n',
    )
    workflow.edit(TINY)
    steps = {
        "steps": 6,
        "batch": 16,
        "lr": 1e-3,
        "weight_decay": 0,
        "optimizer": "adamw",
        "evaluate_every": 3,
        "select": "groups",
        "patience": 0,
    }
    workflow.edit(
        {"methods": {"hard": {"synthetic": False, "finetune": {"kind": "hard"}}}, "finetune": {"hard": steps}}
    )
    file = "results/birds/bias-0.999/hard/seed-0/metrics.json"
    done = workflow.run(file)
    assert done.returncode == 0, done.stderr
    found = json.loads((workflow.folder / file).read_text())
    assert found["gradient_steps"] == 6
    assert found["group_labels"] == ["selection"]
    path = workflow.folder / "fairgen/classify/methods/hard.py"
    path.write_text(path.read_text().replace("// 2", "// 3"))
    assert "finetune" in workflow.run("--dry-run", file).stdout  # its code is tracked
