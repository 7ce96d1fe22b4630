"""`fairgen run`: which words are targets, and what is added to them; test_wheel.py runs it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from workflows import PROJECT, Workflow

from fairgen import cli
from fairgen.commands import run
from fairgen.core.errors import FairgenError

BIRDS = "results/birds/worst_group.json"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["birds"], [BIRDS]),
        (["birds", "results/faces/check.md", "-n"], [BIRDS, "results/faces/check.md", "-n"]),
        (["--cores", "2", "birds"], ["--cores", "2", BIRDS]),
        (["birds", "--cores", "all"], [BIRDS, "--cores", "all"]),
        (["--configfile", "birds", "--", "birds"], ["--configfile", "birds", "--", BIRDS]),
        (["birds", "--forcerun", "index"], [BIRDS, "--forcerun", "index"]),
        (["index", "all"], ["index", "all"]),  # rules
        (["My_Set", "logs", "tracking"], ["My_Set", "logs", "tracking"]),  # no names of data sets
        (["birds", "--config", "seeds=[0]"], [BIRDS, "--config", "seeds=[0]"]),
        (["--no-such-option", "birds"], ["--no-such-option", "birds"]),  # left to snakemake's own words
    ],
)
def test_a_target_is_told_from_an_options_value(words: list[str], expected: list[str]) -> None:
    assert run.expanded(words) == expected


def test_the_workflow_and_all_cores_are_added(here: Path) -> None:
    own = ["--snakefile", str(PROJECT / "Snakefile")]
    assert run.command(["birds", "-n"]) == ["--cores", "all", *own, BIRDS, "-n"]
    assert run.command(["birds", "-c2"]) == [*own, BIRDS, "-c2"]
    assert run.command(["-s", "mine.smk", "-c1", "birds"]) == ["-s", "mine.smk", "-c1", BIRDS]


def test_a_profile_of_the_workflow_says_where_jobs_run() -> None:
    """Its jobs are not limited to this machine's cores; one that is not there is no plain run."""
    for words in (["--workflow-profile", "slurm"], ["--workflow-profile=profiles/slurm"]):
        found = run.command(["birds", *words])
        assert found[-1].endswith(str(PROJECT / "profiles/slurm"))
        assert "all" not in found
    assert run.placed(["--workflow-profile", "none"]) == ["--workflow-profile", "none"]
    with pytest.raises(FairgenError, match="no such profile"):
        run.command(["birds", "--workflow-profile", "profiles/slrum"])


def test_it_becomes_snakemake(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda program, words: became.append(words))
    assert cli.main(["run", "-c1", "-n", "birds"]) == 0
    assert became[0][1:3] == ["-P", str(PROJECT / "fairgen/workflow/start.py")]
    assert became[0][-3:] == ["-c1", "-n", BIRDS]
    assert capsys.readouterr().err.startswith("fairgen run: snakemake --snakefile ")
    for word in ("--version", "--help"):  # said once, by snakemake
        assert cli.main(["run", "birds", word]) == 0
        assert became.pop()[-1] == word
        assert capsys.readouterr().out == ""
    assert cli.main(["run", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "usage: fairgen run [TARGET ...]" in told
    assert "results/birds/report.html: the page to look at" in told
    assert len(became) == 1


SMALL = "datasets: {birds: {options: {train: 40, validation: 20, test: 20, shift: 4}}}\n"


@pytest.mark.slow
def test_modules_in_the_working_folder_shadow_none(here: Path) -> None:
    """Neither in commands that say `from any folder` nor in jobs."""
    (here / "config.yaml").write_text(SMALL)
    for name in ("yaml", "select", "random", "snakemake", "numpy", "fairgen/__init__"):
        place = here / f"{name}.py"
        place.parent.mkdir(exist_ok=True)
        place.write_text(f"raise SystemExit('the working folder has been imported: {name}')\n")
    env = Workflow(here, PROJECT).environment()

    def called(*words: str) -> str:
        command = [sys.executable, "-P", "-m", "fairgen", *words]  # as the command that pip installs
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    told = called("check", "birds", "--cores", "1")  # it runs four jobs
    assert "All of it" in told
    assert "fairgen run --cores 1 -- results/birds/report.html" in told
    assert called("estimate", "results/birds/bias-0.95/split.parquet") == "Nothing to be done.\n"
    assert "Nothing to be done" in called("run", "results/birds/index.parquet")


def test_what_snakemake_would_only_trace_is_one_line(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert cli.main(["run", "birds", "-n", "--configfile", "nope.yaml"]) == 1
    assert capsys.readouterr().err == "fairgen run: nope.yaml: no such config file; check the path\n"
    monkeypatch.setattr("os.access", lambda path, mode: False)  # as in a folder of another user's
    assert cli.main(["run", "birds", "-n"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"fairgen run: cannot write into {here.resolve()}, ") and said.count("\n") == 1
