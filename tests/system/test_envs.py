"""Every way to set the project up installs the versions of constraints.txt."""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from workflows import PROJECT

from fairgen.core import fingerprint
from fairgen.workflow import stages

ENVS = sorted((PROJECT / "envs").glob("*.yaml"))
FAMILIES = {"index": "data.formats", "finetune": "classify.methods"}  # modules that a setting picks by name
# What a stage imports only where it is there, or that other packages bring.
OTHERWISE = {
    "data": {"torch"},  # asked for its GPUs only; jobs of this environment take none
    "classify": {"transformers"},  # only behind generators' loaders
    "generate": {"bitsandbytes"},  # the extra `8bit`
}


def plain(name: str) -> str:
    """A package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lines: list[str]) -> dict[str, str]:
    """Version by package."""
    return {plain(name): version for name, version in (line.split("==") for line in lines)}


def environment(path: Path) -> dict[str, str]:
    """What an environment file pins by pip."""
    return pins(yaml.safe_load(path.read_text())["dependencies"][-1]["pip"])


PACKAGES = packages_distributions()
LOCK = pins((PROJECT / "constraints.txt").read_text().split())


@pytest.mark.parametrize("path", ENVS, ids=lambda path: path.stem)
def test_environments_pin_the_locks_versions(path: Path) -> None:
    found = environment(path)
    assert found == {name: LOCK.get(name) for name in found}


def test_everything_that_the_project_asks_for_is_locked() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [
        *project["dependencies"],
        *(line for name, lines in extras.items() if name != "8bit" for line in lines),
    ]
    names = {plain(re.match(r"[\w.-]+", line)[0]) for line in asked} - {"fairgen"}
    assert names <= LOCK.keys(), names - LOCK.keys()


def test_the_container_installs_by_the_lock_on_the_environments_python() -> None:
    text = (PROJECT / "envs/Dockerfile").read_text().replace("\\\n", " ")
    (python,) = {yaml.safe_load(path.read_text())["dependencies"][0] for path in ENVS}
    assert re.search(rf"^FROM python:{re.escape(python.removeprefix('python='))}(-|$)", text, re.M)
    installs = [shlex.split(line) for line in text.splitlines() if "pip install" in line]
    assert installs
    assert all(words[words.index("-c") + 1] == "constraints.txt" for words in installs)
    copied = {word for line in re.findall(r"^COPY (.+) \S+$", text, re.M) for word in line.split()}
    assert {"constraints.txt", "pyproject.toml", "fairgen"} <= copied
    assert all((PROJECT / name).exists() for name in copied)


def rules() -> list[tuple[str, str]]:
    """(stage, environment) of every rule."""
    texts = [
        rule
        for path in PROJECT.glob("rules/*.smk")
        for rule in re.split(r"^rule ", path.read_text(), flags=re.M)[1:]
    ]
    return [
        (re.search(r"-m fairgen\.\w+\.(\w+)", text)[1], re.search(r"envs/(\w+)\.yaml", text)[1])
        for text in texts
    ]


@pytest.mark.parametrize(("stage", "name"), rules(), ids=lambda word: word)
def test_a_rules_environment_has_what_its_stage_imports(stage: str, name: str) -> None:
    modules = [stages.module(stage)]
    if stage in FAMILIES:
        family = FAMILIES[stage]
        folder = PROJECT / "fairgen" / family.replace(".", "/")
        modules += [f"fairgen.{family}.{path.stem}" for path in folder.glob("[a-z]*.py")]
    imported = set()
    for module in fingerprint.closure(modules):
        for node in ast.walk(ast.parse(fingerprint.source_file(module).read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    here = environment(PROJECT / f"envs/{name}.yaml").keys()
    foreign = imported - sys.stdlib_module_names - {"fairgen"} - OTHERWISE[name]
    assert not {word for word in foreign if not {plain(p) for p in PACKAGES.get(word, [word])} & here}


def test_the_package_brings_every_file_that_is_no_code() -> None:
    patterns = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"][
        "fairgen"
    ]
    # setuptools' ** means files too
    globs = [f"{pattern}/*" if pattern.endswith("**") else pattern for pattern in patterns]
    brought = {path for pattern in globs for path in (PROJECT / "fairgen").glob(pattern)}
    listed = subprocess.run(
        ["git", "ls-files", "fairgen"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    others = {PROJECT / name for name in listed.splitlines() if not name.endswith(".py")}
    assert others
    assert others <= brought


def test_the_containers_recipe_has_no_known_fault() -> None:
    """hadolint's rules, without a Docker daemon; an image is built by the CI of the repository's host."""
    if (program := shutil.which("hadolint", path=os.path.dirname(sys.executable))) is None:
        pytest.skip("hadolint is not installed: its wheels are for x86-64 only")
    done = subprocess.run([program, str(PROJECT / "envs/Dockerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_hosts_ci_runs_the_projects_own_commands() -> None:
    """A right workflow file, of commands that exist: it cannot be run here."""
    path = PROJECT / ".github/workflows/ci.yml"
    words = ["check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)]
    done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = yaml.safe_load(path.read_text())["jobs"]
    lines = {name: " ".join(step.get("run", "") for step in job["steps"]) for name, job in jobs.items()}
    assert (PROJECT / ".ci/run").is_file() and ".ci/run" in lines["tests"]
    assert "docker build -f envs/Dockerfile" in lines["container"]
    for command in re.findall(r"(?:fairgen|-v \S+ fairgen) run (\S+)", lines["wheel"] + lines["container"]):
        assert command in ("birds", "results/birds/check.md")


def test_what_fairgen_imports_is_a_dependency() -> None:
    """What others happen to bring may leave with them; tokenizers and the loggers' interface are parts of
    transformers and snakemake.
    """
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    listed = [project["dependencies"], *project["optional-dependencies"].values()]
    named = {plain(re.split(r"[\[<>=;~! ]", line)[0]) for lines in listed for line in lines}
    named |= {"tokenizers", "snakemake-interface-logger-plugins"}
    imported: set[str] = set()
    for path in (PROJECT / "fairgen").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.partition(".")[0])
    packages = packages_distributions()
    others = imported - {*sys.stdlib_module_names, "fairgen"}
    assert {name for name in others if not {plain(d) for d in packages.get(name, [name])} & named} == set()
