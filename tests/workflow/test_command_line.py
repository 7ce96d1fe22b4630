"""What jobs are given of the machine's Python; most of the module is tried by whole workflows."""

import os
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from snakemake.shell import shell
from workflows import PROJECT

from fairgen.core.errors import FairgenError
from fairgen.core.fingerprint import SEEN
from fairgen.workflow import command_line
from fairgen.workflow.command_line import share_gpus, use_this_python


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


def test_a_node_knows_the_code_that_the_users_call_has_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a job would be compared with what an edit since has left."""
    monkeypatch.setenv(SEEN, "3.11 planned")
    use_this_python(first=False)
    assert os.environ[SEEN] == "3.11 planned"
    monkeypatch.delenv(SEEN)
    use_this_python(first=False)  # a pod has no environment of the call's
    assert os.environ[SEEN]
    monkeypatch.setenv(SEEN, "3.11 before")
    use_this_python()
    assert os.environ[SEEN] != "3.11 before"


@pytest.mark.parametrize(("given", "found"), [(None, 3), (2, None), (5, None)])
def test_gpus_of_this_machine_are_handed_out_unless_said(
    monkeypatch: pytest.MonkeyPatch, given: int | None, found: int | None
) -> None:
    monkeypatch.setattr(command_line.machine, "gpus", lambda: [0, 1, 2])
    known, told = {"gpu": SimpleNamespace(value=given)} if given else {}, {}
    share_gpus(SimpleNamespace(global_resources=known, register_resource=told.__setitem__), 2)
    assert told.get("gpu") == found


def test_fewer_gpus_than_a_job_takes_are_no_gpus_in_silence() -> None:
    workflow = SimpleNamespace(global_resources={"gpu": SimpleNamespace(value=0)})
    with pytest.raises(FairgenError, match="--resources gpu=0: a job takes 1"):
        share_gpus(workflow, 1)
