"""Where the workflow's files are, and which config files are read."""

from pathlib import Path

import pytest
import yaml
from workflows import PROJECT

from fairgen.core.errors import FairgenError
from fairgen.workflow import project


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that brings the workflow."""
    brought = tmp_path / "site/fairgen/project"
    (brought / "profiles/slurm").mkdir(parents=True)
    (brought / "Snakefile").touch()
    (brought / "config.yaml").write_text("seeds: [0]\nmethods: {a: {x: 1}}\n")
    monkeypatch.setattr(project, "PACKAGE", brought.parent)
    monkeypatch.setattr(project, "BROUGHT", brought)
    return brought


def test_a_clone_has_the_workflow_beside_the_package(here: Path) -> None:
    assert project.snakefile() == project.called() == PROJECT / "Snakefile"
    assert project.importable() == PROJECT
    assert project.config([]) == yaml.safe_load((PROJECT / "config.yaml").read_text())
    assert project.caller() == "fairgen run"


def test_a_wheel_brings_it(wheel: Path) -> None:
    assert project.snakefile() == project.called() == wheel / "Snakefile"
    assert project.importable() == wheel / "python"


def test_a_snakefile_in_the_working_folder_goes_first(wheel: Path, here: Path) -> None:
    (here / "workflow").mkdir()
    (here / "workflow/Snakefile").touch()
    assert project.called() == Path("workflow/Snakefile")
    (here / "Snakefile").touch()
    assert project.called() == Path("Snakefile")
    assert project.snakefile() == wheel / "Snakefile"  # as a module of that one
    assert project.caller() == "snakemake"


def test_the_working_folders_config_goes_over_the_workflows_own(wheel: Path, here: Path) -> None:
    own = wheel / "config.yaml"
    assert project.config_files(wheel) == [own]
    (here / "config.yaml").write_text("methods: {a: {y: 2}}\n")
    assert project.config_files(wheel) == [own, Path("config.yaml")]
    assert project.config_files(here) == [Path("config.yaml")]  # the same file, once, as a user calls it
    assert project.config_files(wheel, outer=True) == [own]  # the folder's is another workflow's
    (here / "more.yaml").write_text("seeds: [7]\n")
    assert project.config([Path("more.yaml")]) == {"seeds": [7], "methods": {"a": {"x": 1, "y": 2}}}
    assert project.completed(wheel, {"seeds": [5]}) == {"seeds": [5], "methods": {"a": {"x": 1}}}


def test_arguments_of_a_model_are_replaced_as_a_whole(wheel: Path, here: Path) -> None:
    """Those of one model mean nothing to another."""
    (here / "config.yaml").write_text(
        "datasets: {a: {settings: {classifier: {args: {x: 1, y: 2}, size: 3}}}}\n"
    )
    for args in ("{}", "{z: 1}"):
        (here / "more.yaml").write_text(f"datasets: {{a: {{settings: {{classifier: {{args: {args}}}}}}}}}\n")
        found = project.config([Path("more.yaml")])["datasets"]["a"]["settings"]["classifier"]
        assert found == {"args": yaml.safe_load(args), "size": 3}


def test_mistakes_in_either_config_are_told(wheel: Path, here: Path) -> None:
    (here / "config.yaml").write_text("")
    with pytest.raises(FairgenError, match=r"config\.yaml is empty"):
        project.config([])
    (here / "config.yaml").unlink()
    with pytest.raises(FairgenError, match=r"no\.yaml: no such config file"):
        project.config([Path("no.yaml")])


def test_profiles_go_by_their_names(wheel: Path, here: Path) -> None:
    for name in ("slurm", "profiles/slurm"):
        assert project.profile(name) == str(wheel / "profiles/slurm")
    (here / "profiles/slurm").mkdir(parents=True)
    assert project.profile("slurm") == "profiles/slurm"
    assert project.profile(str(wheel / "profiles/slurm")) == str(wheel / "profiles/slurm")
    with pytest.raises(
        FairgenError, match="--workflow-profile slrum: no such profile; the workflow's own are slurm"
    ):
        project.profile("slrum")
