"""What a failed call says last: each reason once, with what to do, also of jobs that could not say
anything.
"""

import logging
from pathlib import Path

import pytest
from snakemake_interface_logger_plugins.common import LogEvent
from workflows import Workflow

from fairgen.core import joblog
from fairgen.workflow import failures

COMMAND = "python -m fairgen.generate.prior --group {}"


def error(collected: failures.Failures, number: int, rule: str = "prior", log: Path | None = None) -> None:
    """Snakemake's event of a failed job."""
    about = {
        "event": LogEvent.JOB_ERROR,
        "jobid": number,
        "rule_name": rule,
        "output": [f"results/d/{number}.parquet"],
    }
    about |= {"log": [str(log)] if log else [], "shellcmd": COMMAND.format(number)}
    collected.emit(logging.makeLogRecord({"levelno": logging.ERROR, "msg": "Error in rule", **about}))


def said(collected: failures.Failures, number: int, how: str) -> None:
    """Snakemake's line about a command that failed."""
    text = f"CalledProcessError in file:\nCommand 'set -euo pipefail;  {COMMAND.format(number)}' {how}."
    collected.emit(logging.makeLogRecord({"levelno": logging.ERROR, "msg": text}))


def written(folder: Path, number: int, reason: str) -> Path:
    """A job's log, as `job.main` leaves it."""
    path = folder / f"{number}.log"
    path.write_text(
        "2026-11-28 17:14:31,001 DEBUG fairgen: failed\nTraceback …\n2026-11-28 17:14:31,002 ERROR fairgen:"
        f" {reason}\n"
    )
    return path


def test_jobs_of_one_reason_are_one_entry_with_its_trace(tmp_path: Path) -> None:
    collected = failures.Failures()
    for number in range(8):
        error(collected, number, log=written(tmp_path, number, "no folder base; fetch it"))
    error(collected, 8, "filter", written(tmp_path, 8, "too few images; lower filter.quota"))
    lines = failures.report(collected).strip().splitlines()
    assert lines[0].startswith("fairgen: 9 jobs failed; ")
    assert lines[1:4] == [
        "  prior: results/d/0.parquet and 7 more",
        "    no folder base; fetch it",
        f"    trace in {tmp_path}/0.log",
    ]
    assert lines[4:6] == ["  filter: results/d/8.parquet", "    too few images; lower filter.quota"]


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (
            "died with <Signals.SIGKILL: 9>",
            "killed by signal 9 before it could say why, mostly for want of memory",
        ),
        ("returned non-zero exit status 137", "--set-resources prior:mem_mb"),
        ("returned non-zero exit status 143", "ended with signal 15 and left no reason"),
        ("returned non-zero exit status 2", "ended with exit status 2 and left no reason"),
    ],
)
def test_a_job_without_a_last_word_is_told_by_its_status(tmp_path: Path, how: str, told: str) -> None:
    """Its log breaks off; another job's command ended in another way."""
    (tmp_path / "1.log").write_text("2026-11-28 17:14:31,001 INFO fairgen: ready\n")
    collected = failures.Failures()
    said(collected, 2, "returned non-zero exit status 1")
    said(collected, 1, how)
    error(collected, 1, log=tmp_path / "1.log")
    assert told in failures.report(collected)


def test_the_log_of_an_earlier_call_says_nothing(tmp_path: Path) -> None:
    collected = failures.Failures()
    path = written(tmp_path, 1, "an old reason")
    collected.began += 60
    error(collected, 1, log=path)
    assert "an old reason" not in failures.report(collected)
    assert "ended with no word" in failures.report(collected)


def test_a_second_attempt_that_ends_well_is_no_failure() -> None:
    collected = failures.Failures()
    error(collected, 1)
    error(collected, 2)
    collected.emit(logging.makeLogRecord({"event": LogEvent.JOB_FINISHED, "job_id": 1}))
    assert list(collected.jobs) == [2]


def test_jobs_of_a_group_are_found_and_many_reasons_fit_a_screen(tmp_path: Path) -> None:
    infos = [
        {"jobid": n, "rule_name": "sample", "output": [f"{n}"], "log": [], "shellcmd": ""} for n in range(40)
    ]
    for info in infos:
        info["log"] = [str(written(tmp_path, info["jobid"], f"reason {info['jobid']}"))]
    collected = failures.Failures()
    collected.emit(
        logging.makeLogRecord(
            {"event": LogEvent.GROUP_ERROR, "levelno": logging.ERROR, "job_error_info": infos}
        )
    )
    lines = failures.report(collected).splitlines()
    assert len(lines) < 24
    assert lines[-1] == "  … and 35 more reasons; the logs are under results/logs"


def test_a_stage_that_fails_ends_its_log_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it failed before its log was opened."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    joblog.log_failure(ValueError("too\nlong"), tmp_path / "x.log")
    for handler in root.handlers:
        handler.close()
    text = (tmp_path / "x.log").read_text()
    assert failures.WORD.findall(text) == ["ValueError: too long"]
    assert text.endswith("ERROR fairgen: ValueError: too long\n")


def test_the_last_lines_of_a_failed_call_are_the_failures(workflow: Workflow) -> None:
    """Two real jobs: one that stops with its reason, one that is killed."""
    (workflow.folder / "pictures/x/a").mkdir(parents=True)
    (workflow.folder / "pictures/x/a/1.jpg").write_text("no image")
    group = {"role": "aligned", "donor": None, "prompt": "x"}
    pictures = {
        **{"format": "folder", "root": "pictures", "gpu": 0, "options": {}, "settings": {}},
        **{"target": {"attribute": "target"}, "bias": {"attribute": "bias"}},
        "groups": {"xa": {"target": "x", "bias": "a", **group}, "yb": {"target": "y", "bias": "b", **group}},
    }
    workflow.edit({"datasets": {"pictures": pictures}})
    source = workflow.folder / "fairgen/data/draw.py"
    source.write_text(
        source.read_text().replace("if __name__", "import os\nos.kill(os.getpid(), 9)\nif __name__")
    )
    targets = ["results/pictures/index.parquet", "results/birds/drawings.parquet"]
    done = workflow.run("--keep-going", *targets, cores=2)
    assert done.returncode != 0
    before, _, last = done.stderr.partition("\nfairgen: 2 jobs failed; ")
    assert "WorkflowError" in before
    lines = last.splitlines()
    assert len(lines) == 1 + 3 + 2
    entries = {
        line.strip(): lines[i + 1].strip()
        for i, line in enumerate(lines)
        if line.strip().startswith(("index", "draw"))
    }
    assert "index.max_rejected" in entries["index: results/pictures/index.parquet"]
    assert "want of memory" in entries["draw: results/birds/drawings.parquet"]
    assert "Traceback" in (workflow.folder / "results/logs/pictures/index.log").read_text()
    assert "    trace in results/logs/pictures/index.log" in lines
