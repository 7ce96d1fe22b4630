"""The house: wings in the DAG's order, stages in one list, a test file for each stage, parts that are added
by their lines.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from workflows import PROJECT

from fairgen.core import fingerprint
from fairgen.workflow.stages import STAGES, module

PACKAGE = PROJECT / "fairgen"
WINGS = (
    "core",
    "models",
    "embedded",
    "data",
    "generate",
    "classify",
    "monitor",
    "evaluate",
    "report",
    "workflow",
    "commands",
    "api",
)
MODULES = sorted(
    ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)


def wing(name: str) -> str:
    """The wing of a module, "" for the package itself and its command line."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in WINGS else ""


def test_every_module_is_in_a_wing() -> None:
    assert [name for name in MODULES if not wing(name)] == ["fairgen", "fairgen.__main__", "fairgen.cli"]


@pytest.mark.parametrize("name", [name for name in MODULES if wing(name)])
def test_a_wing_imports_only_wings_before_it(name: str) -> None:
    allowed = WINGS[: WINGS.index(wing(name)) + 1]
    assert [other for other in fingerprint.imports(name) if wing(other) not in allowed] == []


def test_no_module_imports_a_stage() -> None:
    stages = {module(stage) for stage in STAGES}
    assert {
        (name, other) for name in MODULES for other in fingerprint.imports(name) if other in stages
    } == set()


@pytest.mark.parametrize("stage", STAGES)
def test_no_job_imports_the_workflow(stage: str) -> None:
    reached = fingerprint.closure([module(stage)])
    assert [name for name in reached if wing(name) in ("workflow", "commands", "api")] == []


def rules() -> Iterator[tuple[str, str]]:
    """(wing, rule) in the order of the Snakefile."""
    for name in re.findall(r'^include: "rules/(\w+)\.smk"', (PROJECT / "Snakefile").read_text(), re.M)[1:]:
        for rule in re.findall(r"^rule (\w+):", (PROJECT / f"rules/{name}.smk").read_text(), re.M):
            yield name, rule


def test_stages_rules_and_modules_are_one_list() -> None:
    assert [(stage.wing, name) for name, stage in STAGES.items()] == list(rules())
    assert all(fingerprint.source_file(module(stage)) for stage in STAGES)
    mains = {
        name for name in MODULES if "    job.main(" in (fingerprint.source_file(name) or Path()).read_text()
    }
    assert mains == {module(stage) for stage in STAGES}


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_a_test_file_of_its_name(stage: str) -> None:
    assert (PROJECT / f"tests/{STAGES[stage].wing}/test_{stage}.py").is_file()


def test_no_test_imports_a_test() -> None:
    for path in (PROJECT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [name for name in names if name.startswith("test_") or name == "conftest"], path


def test_folders_of_tests_are_wings() -> None:
    found = {
        path.name for path in (PROJECT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"
    }
    assert found == {*WINGS, "system", "support"}
