"""The built wheel: what it holds, and that it runs the workflow from an empty folder as a clone does."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from workflows import PROJECT, Workflow

import fairgen

SHORT = """# the shortest comparison
ratios: [0.9]
seeds: [0]
compare: [erm]
datasets:
  birds:
    options: {train: 40, validation: 20, test: 20, shift: 4}
    settings: {finetune: {erm: {steps: 6}}}
"""
TARGET = "results/birds/worst_group.json"


def git_files(*folders: str) -> list[str]:
    """What git tracks, from the project's folder."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.splitlines() if (PROJECT / name).is_file()]


def copied(names: list[str], folder: Path) -> Path:
    """A folder with some of the project's files: a build leaves files of its own."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, folder / name)
    return folder


def built(source: Path, out: Path, *what: str) -> Path:
    """The wheel of a folder; with the archive of its sources, from that."""
    command = [sys.executable, "-m", "build", "--no-isolation", *what, "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built from the archive of the sources, which lies beside it."""
    place = tmp_path_factory.mktemp("wheel")
    return built(copied(git_files(), place / "source"), place / "dist")


def names(wheel: Path) -> set[str]:
    """The files in a wheel."""
    with zipfile.ZipFile(wheel) as file:
        return set(file.namelist())


def test_the_wheel_has_the_package_its_weights_and_the_workflow(wheel: Path) -> None:
    found = names(wheel)
    package = set(git_files("fairgen"))
    assert package <= found
    assert any(name.endswith(".safetensors") for name in package)
    workflow = git_files(
        "Snakefile", "config.yaml", "constraints.txt", "rules", "profiles", "envs", "examples"
    )
    brought = {f"fairgen/project/{name}" for name in workflow if not name.endswith(".py")}
    assert brought | {"fairgen/project/python/fairgen/__init__.py"} == {
        name for name in found if name.startswith("fairgen/project/")
    }
    rest = {name for name in found - package if not name.startswith("fairgen/project/")}
    assert {name.split("/")[0] for name in rest} == {f"fairgen-{fairgen.__version__}.dist-info"}
    with zipfile.ZipFile(wheel) as file:
        (entry,) = (file.read(name).decode() for name in rest if name.endswith("entry_points.txt"))
        mode = file.getinfo("fairgen/project/profiles/generic/status").external_attr >> 16
    assert "fairgen = fairgen.cli:main" in entry
    assert mode & 0o111, "a command of a profile cannot be executed"


def test_the_archive_of_the_sources_has_no_results_data_or_tests(wheel: Path) -> None:
    (archive,) = wheel.parent.glob("*.tar.gz")
    assert archive.name == f"fairgen-{fairgen.__version__}.tar.gz"
    with tarfile.open(archive) as file:
        found = {name.split("/")[1] for name in file.getnames() if name.count("/") == 1}
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "Snakefile"} <= found
    assert not {"tests", "results", "data", "benchmarks"} & found


def test_the_container_installs_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    """What its recipe copies is enough to build the whole package; its entry is a command that there is."""
    text = (PROJECT / "envs/Dockerfile").read_text()
    sources = [word for line in re.findall(r"^COPY (.+) \S+$", text, re.M) for word in line.split()]
    inside = built(copied(git_files(*sources), tmp_path / "source"), tmp_path / "dist", "--wheel")
    assert names(inside) == names(wheel)
    entry, words = (
        ast.literal_eval(re.search(rf"^{key} (\[.+\])$", text, re.M)[1]) for key in ("ENTRYPOINT", "CMD")
    )
    assert [*entry, *words] == ["fairgen", "run", "birds"]


@dataclass
class Installed:
    """The wheel in a folder of its own, and an empty folder to work in."""

    site: Path
    folder: Path

    def call(self, *words: str, package: Path | None = None) -> subprocess.CompletedProcess:
        """`fairgen` from the working folder, by the installed package or by another."""
        env = {**Workflow(self.folder, package or self.site).environment(), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "fairgen", *words]
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel, installed without its dependencies, which are here already."""
    place = tmp_path_factory.mktemp("installed")
    words = ["install", "--quiet", "--no-deps", "--no-compile", "--no-index", "--target"]
    command = [sys.executable, "-m", "pip", *words, str(place / "site"), str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (place / "work").mkdir()
    return Installed(place / "site", place / "work")


@pytest.fixture(scope="module")
def finished(installed: Installed) -> Installed:
    """The shortest run, complete, with a config that says only what differs."""
    (installed.folder / "config.yaml").write_text(SHORT)
    before = files(installed.site)
    done = installed.call("run", "birds", "--cores", "1")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert files(installed.site) == before, "a run writes into the installed package"
    return installed


def files(folder: Path) -> dict[str, int]:
    """All files below a folder with their times."""
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_an_empty_folder_plans_the_whole_comparison(
    installed: Installed, tmp_path: Path, config: dict
) -> None:
    empty = Installed(installed.site, tmp_path / "empty")
    empty.folder.mkdir()
    done = empty.call("run", "birds", "-n")
    assert done.returncode == 0, done.stderr
    plan = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.M))
    cells = len(config["ratios"]) * len(config["compare"]) * len(config["seeds"])
    assert (plan["draw"], plan["finetune"], plan["worst_group"]) == ("1", str(cells), "1")
    assert f"--snakefile {installed.site}/fairgen/project/Snakefile" in done.stderr
    assert {path.name for path in empty.folder.iterdir()} <= {".snakemake", ".cache"}


@pytest.mark.slow
def test_the_installed_workflow_runs_and_has_nothing_to_do_then(finished: Installed) -> None:
    document = json.loads((finished.folder / TARGET).read_text())
    assert list(document["results"]["0.9"]) == ["erm"]
    done = finished.call("run", "birds")
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr


@pytest.mark.slow
def test_a_clone_means_the_same_artifacts(finished: Installed) -> None:
    """Settings, code and lineage of what the installed package has made are those of the clone."""
    done = finished.call("verify", TARGET, package=PROJECT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "belong to the present config and code" in done.stdout
    fingerprint = "from fairgen.core.fingerprint import PACKAGE; print(PACKAGE)"
    done = subprocess.run(
        [sys.executable, "-c", fingerprint],
        env={**os.environ, "PYTHONPATH": str(finished.site / "fairgen/project/python")},
        capture_output=True,
        text=True,
        cwd=finished.folder,
    )
    assert done.stdout.strip() == str(finished.site / "fairgen"), "jobs of another environment"


@pytest.mark.slow
def test_commands_find_the_installed_workflow(finished: Installed) -> None:
    done = finished.call("estimate", "results/birds/pages/result.html")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^figures +1 ", done.stdout, re.M) and "finetune" not in done.stdout
    done = finished.call("check", "birds", "--cores", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("fairgen run --cores 1 -- results/birds/report.html\n")


@pytest.mark.slow
def test_the_installed_workflow_is_a_module_of_another(finished: Installed, tmp_path: Path) -> None:
    """It says only what differs of the config; the results are the same artifacts."""
    shutil.copytree(finished.folder / "results", tmp_path / "results")
    (tmp_path / "mine.yaml").write_text("fairgen:\n" + re.sub("^", "  ", SHORT, flags=re.M))
    (tmp_path / "Snakefile").write_text("""
from fairgen.workflow.project import snakefile

configfile: "mine.yaml"

module fairgen:
    snakefile: snakefile()
    config: config["fairgen"]

use rule * from fairgen exclude all as fairgen_*

rule mine:
    default_target: True
    input: "results/birds/worst_group.csv"
    output: "mine.csv"
    shell: "cp {input} {output}"
""")
    outer = Workflow(tmp_path, finished.site)
    done = outer.run()
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"^ *(?:local)?rule (\w+):$", done.stdout + done.stderr, re.M)) == {"mine"}
    assert (tmp_path / "mine.csv").read_text().startswith("ratio,")
