"""Killed runs end where undisturbed ones do, byte for byte, whatever `--cores`."""

import random
from pathlib import Path

import pytest
from edited import Edited, edited, failing
from interrupt import RUN, VICTIMS, WORK, artifacts, disturbed, outputs, undisturbed
from workflows import Workflow

SAID = """
localrule adapt:
    input: a
    output: results/x, results/y
    log: b
    jobid: 4
Finished jobid: 4 (Rule: adapt)
localrule sample:
    output: results/z
    jobid: 5
"""


def test_finished_jobs_are_read_from_the_terminal() -> None:
    assert outputs(SAID, finished=False) == {"results/x", "results/z"}
    assert outputs(SAID, finished=True) == {"results/x"}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A run that was left alone, one job at a time, each by a process that had its libraries already; those
    that are disturbed begin with nothing.
    """
    return undisturbed(tmp_path_factory.mktemp("alone").resolve(), warm=True)


@pytest.fixture(scope="module")
def expected(alone: Workflow) -> dict[str, bytes]:
    """Its artifacts, before anything is edited there."""
    return artifacts(alone.folder)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_run_killed_at_random_has_the_bytes_of_an_undisturbed_one(
    expected: dict[str, bytes], tmp_path: Path
) -> None:
    """One job at a time and left alone, against two at a time and all kinds of kills;
    `tests/support/interrupt.py` does more.
    """
    run = disturbed(tmp_path.resolve(), seed=0)
    run.run(len(VICTIMS), expected)
    assert run.went_on >= WORK.keys()


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_an_edited_run_that_is_disturbed_ends_as_an_undisturbed_one(
    alone: Workflow, expected: dict[str, bytes], tmp_path: Path
) -> None:
    """The run that was left alone is edited, and disturbed on its way back to the first config, whose
    artifacts are known; `python tests/support/interrupt.py --edited` does more.
    """
    run = Edited(failing(alone), tmp_path, random.Random(5), config=RUN, undisturbed={"": expected})
    assert len(list(run.rounds(1, "split.seed"))) == 1


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_many_edits_and_disturbances_with_stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `python tests/support/interrupt.py --edited --stand-ins`."""
    monkeypatch.setenv("STAND_IN", "")  # it is set there, and taken back here
    assert len(list(edited(tmp_path, seed=4, stand_ins=True).rounds(5))) == 5
