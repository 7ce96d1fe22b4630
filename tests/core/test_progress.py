"""What a job says of how far it is: lines of its log, and a bar where one may be drawn."""

import sys
from types import SimpleNamespace

import pytest

from fairgen.commands.watch_jobs import Progress, progress_of
from fairgen.core import progress
from fairgen.core.progress import BARS, counted
from fairgen.workflow.command_line import call


@pytest.fixture
def texts(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was logged, at four seconds for each step."""
    clock = iter(range(4, 100_000, 4))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    caplog.set_level("INFO", "fairgen")
    return caplog.messages


def test_the_log_has_a_line_at_the_beginning_and_now_and_then(
    texts: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The speed is that since the first one was done, before which models may have been read."""
    assert [*counted(range(5), 8, "sample a", "image", done=3)] == [0, 1, 2, 3, 4]
    assert caplog.messages == [
        "sample a: 3 of 8 images",
        "sample a: 6 of 8 images, 0.25 a second",
        "sample a: 8 of 8 images, 0.25 a second",
    ]
    line = f"2026-11-29 15:30:30,001 INFO fairgen: {caplog.messages[-1]}\n"
    assert progress_of(line) == Progress("sample a", 8, 8, "images", 0.25)


def test_the_log_of_a_long_job_stays_short(texts: list[str], caplog: pytest.LogCaptureFixture) -> None:
    """Ten hours: a line for each hundredth of the time so far."""
    assert sum(1 for _ in counted(range(9000), 9000, "adapt a")) == 9000
    assert 100 < len(caplog.messages) < 700


@pytest.mark.parametrize(("said", "drawn"), [("", True), ("0", False)])
def test_bars_are_drawn_on_a_terminal_unless_something_else_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, said: str, drawn: bool
) -> None:
    monkeypatch.setenv(BARS, said)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert [*counted("ab", 2, "adapt a")] == ["a", "b"]
    assert ("adapt a: 100%" in capsys.readouterr().err) == drawn


def test_a_logger_plugin_has_the_terminal_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snakemake.cli.parse_args", lambda _: (None, SimpleNamespace(logger=["rich"])))
    monkeypatch.setenv(BARS, "")
    call(outer=False)
    assert progress.hidden() is True
