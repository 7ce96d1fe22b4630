"""What jobs are given of the machine's Python; most of the module is tried by whole workflows."""

import os
import sys
from collections.abc import Iterator

import pytest
from snakemake.shell import shell
from workflows import PROJECT

from fairgen.core.fingerprint import SEEN
from fairgen.workflow.command_line import use_this_python


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Variables and snakemake's own setting, put back."""
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("PYTHONPATH", f"/a{os.pathsep}{os.pathsep}/b{os.pathsep}")
    for name in ("PYTHONSAFEPATH", SEEN):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(shell, "conda_block_conflicting_envvars", True)
    yield


def test_jobs_find_this_package_and_nothing_in_the_working_folder() -> None:
    use_this_python()
    assert os.environ["PATH"] == os.pathsep.join([os.path.dirname(sys.executable), "/usr/bin"])
    assert os.environ["PYTHONPATH"] == os.pathsep.join([str(PROJECT), "/a", "/b"])
    assert os.environ["PYTHONSAFEPATH"] == "1"
    assert shell.conda_block_conflicting_envvars


def test_jobs_in_environments_of_condas_find_it_too() -> None:
    use_this_python(conda=True)
    assert os.environ["PYTHONSAFEPATH"] == "1"
    assert not shell.conda_block_conflicting_envvars


def test_jobs_of_a_workflow_that_has_this_one_as_a_module_are_let_alone() -> None:
    use_this_python(outer=True, conda=True)
    assert not os.environ["PYTHONSAFEPATH"]
    assert shell.conda_block_conflicting_envvars
