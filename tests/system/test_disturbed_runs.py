"""Killed runs end where undisturbed ones do, byte for byte, whatever `--cores`."""

from pathlib import Path

import pytest
from edited import edited
from interrupt import VICTIMS, WORK, disturbed, outputs, undisturbed

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


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_run_killed_at_random_has_the_bytes_of_an_undisturbed_one(tmp_path: Path) -> None:
    """One job at a time and left alone, against two at a time and all kinds of kills;
    `tests/support/interrupt.py` does more.
    """
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    run = disturbed((tmp_path / "two").resolve(), seed=0)
    run.run(len(VICTIMS), undisturbed(tmp_path / "one"))
    assert run.went_on >= WORK.keys()


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_an_edited_run_that_is_disturbed_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    """One round of `python tests/support/interrupt.py --edited`."""
    assert len(list(edited(tmp_path, seed=3).rounds(1))) == 1


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_many_edits_and_disturbances_with_stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `python tests/support/interrupt.py --edited --stand-ins`."""
    monkeypatch.setenv("STAND_IN", "")  # it is set there, and taken back here
    assert len(list(edited(tmp_path, seed=4, stand_ins=True).rounds(5))) == 5
