"""Every stage's command line: one line when it fails, nothing partial, the trace in the log."""

import logging
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from commands import command

from fairgen.core import job, lineage, parquet, records
from fairgen.core.fingerprint import SEEN, fingerprint, sources
from fairgen.core.settings import canonical
from fairgen.core.workfolder import WorkFolder


@dataclass(frozen=True)
class Nothing:
    """Settings of a stage that has none."""


@dataclass(frozen=True)
class Out(job.Files):
    """One output."""

    out: job.Output


def test_a_failing_stage_says_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    settings = {"groups": {"a": {"target": "x", "role": "aligned"}}, "validation_floor": 1, "seed": 0}
    parquet.write(tmp_path / "index.parquet", {"id": [1], "group": ["b"], "split": ["train"]}, {"root": "."})
    options = {
        "index": tmp_path / "index.parquet",
        "split": tmp_path / "out/split.parquet",
        "log": tmp_path / "log",
    }
    done = command("split", settings, scope="bias-0.9", **options)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("fairgen split: ")
    assert "Traceback" in (tmp_path / "log").read_text()
    assert list((tmp_path / "out").iterdir()) == []


def test_a_gpu_without_memory_gets_advice() -> None:
    said = job.one_line(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB."), None)
    assert said.startswith(
        "OutOfMemoryError: CUDA out of memory. Tried to allocate 9.00 GiB.; lower the stage's batch"
    )


def test_unknown_and_missing_settings_are_named(tmp_path: Path) -> None:
    (tmp_path / "p.parquet").touch()
    files = {name: tmp_path / "p.parquet" for name in ("predictions", "split")}
    for settings, named in (
        ({"group": []}, "unknown key 'group'"),
        ({"classes": []}, "key 'groups' is missing"),
    ):
        done = command("metrics", settings, metrics=tmp_path / "m.json", **files)
        assert done.returncode == 1
        assert named in done.stderr


def of_split(tmp_path: Path, code: str, seen: str) -> subprocess.CompletedProcess:
    """The stage `split` as the workflow calls it, which has seen this code and these sources when it
    planned.
    """
    settings = {"groups": {"a": {"target": "x", "role": "aligned"}}, "validation_floor": 1, "seed": 0}
    rows = {"id": [1, 2, 3], "split": ["train", "validation", "test"], "group": ["a"] * 3}
    texts = dict.fromkeys(("path", "target", "bias", "detail", "hash"), ["x"] * 3)
    parquet.write(tmp_path / "index.parquet", rows | texts, {"root": "."})
    given = canonical({"hash": "00ff", "code": code, "modules": ["fairgen.data.split"], "inputs": {}})
    options = {"index": tmp_path / "index.parquet", "split": tmp_path / "split.parquet", "lineage": given}
    return command("split", settings, seen, scope="bias-0.9", **options)


def test_a_job_whose_code_was_edited_after_it_was_planned_is_refused(tmp_path: Path) -> None:
    version = sources().split()[0]
    done = of_split(tmp_path, "of another version", f"{version} other")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "the code of split was edited after snakemake had planned this job" in done.stderr
    assert not (tmp_path / "split.parquet").exists()
    # another Python cannot tell
    assert of_split(tmp_path, fingerprint("fairgen.data.split"), "2.7 other").returncode == 1


def test_an_edit_of_other_stages_or_of_comments_stops_no_job(tmp_path: Path) -> None:
    version, files = sources().split()
    for code, seen in (
        (fingerprint("fairgen.data.split"), f"{version} other"),
        ("whatever", sources()),
        ("any", f"2.7 {files}"),
    ):
        done = of_split(tmp_path, code, seen)
        assert done.returncode == 0, done.stderr
        assert records.read(tmp_path / "split.parquet")["code"] == code


def test_code_edited_while_a_job_runs_spoils_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SEEN, sources())

    def work(settings: Nothing, files: Out) -> None:
        lineage.write_json(files.out, {})
        monkeypatch.setenv(SEEN, f"{sources().split()[0]} other")

    given = canonical(
        {"hash": "00ff", "code": "of another version", "modules": ["fairgen.data.split"], "inputs": {}}
    )
    words = ["--settings", "{}", "--lineage", given, "--out", str(tmp_path / "out.json")]
    try:
        with pytest.raises(SystemExit):
            job.main(work, Nothing, Out, argv=words)
    finally:
        lineage.current = lineage.Lineage()
    assert not (tmp_path / "out.json").exists()


@dataclass(frozen=True)
class Numbered(job.Files):
    """One output of several jobs that differ in a number."""

    given: job.Input
    number: job.Value
    out: job.Output


@dataclass
class Several:
    """Three such jobs, and what their processes have done."""

    folder: Path
    did: list[str]

    def run(self, number: int, happens: Callable[[str], object] = str, together: int = 3) -> None:
        """Call one of them; `happens` with the number of each that its process does."""

        def work(settings: Nothing, files: Numbered) -> None:
            happens(files.number)
            self.did.append(files.number)
            files.out.write_text(f"{files.number} of {files.given.read_text()}")
            job.log.info("did %s", files.number)

        words = (
            f"--settings {{}} --given {self.folder}/given --number {number} --out {self.folder}/{number}.out"
        )
        words += f" --log {self.folder}/{number}.log --together {together}"
        job.main(work, Nothing, Numbered, argv=words.split(), beside="number")

    def there(self) -> list[str]:
        """The outputs that are in their places."""
        return sorted(path.name for path in self.folder.glob("*.out"))


@pytest.fixture
def several(tmp_path: Path) -> Iterator[Several]:
    handlers = logging.getLogger().handlers[:]
    (tmp_path / "given").write_text("a")
    yield Several(tmp_path, [])
    for handler in logging.getLogger().handlers[len(handlers) :]:
        logging.getLogger().removeHandler(handler)
        handler.close()


def test_a_process_does_the_others_too_and_each_is_taken_by_its_own_job(several: Several) -> None:
    several.run(1)
    assert several.did == ["1", "2", "0"]
    assert several.there() == ["1.out"]
    for number in (0, 2):
        (several.folder / f"{number}.log").unlink()  # as snakemake does before a job
        several.run(number)
    assert several.did == ["1", "2", "0"]
    assert [(several.folder / name).read_text() for name in several.there()] == ["0 of a", "1 of a", "2 of a"]
    assert not list(several.folder.glob(".*"))
    for number in range(3):
        log = (several.folder / f"{number}.log").read_text()
        assert [f"did {n}" in log for n in range(3)] == [n == number for n in range(3)]
        assert ("another job's process has made it" in log) == (number != 1)


def test_a_killed_process_has_lost_no_output_that_was_whole(several: Several) -> None:
    def happens(number: str) -> None:
        if number == "2":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        several.run(0, happens)
    assert (several.did, several.there()) == (["0", "1"], [])
    for number in range(3):
        several.run(number)
    assert several.did == ["0", "1", "2"]
    assert several.there() == ["0.out", "1.out", "2.out"]


def test_a_failing_other_is_left_to_its_own_job(several: Several, capsys: pytest.CaptureFixture[str]) -> None:
    def happens(number: str) -> None:
        if number == "1":
            raise ValueError("of no use")

    several.run(0, happens)
    assert (several.did, several.there()) == (["0"], ["0.out"])
    assert "1.out is left to its own job (ValueError: of no use)" in capsys.readouterr().err
    assert not list(several.folder.glob(".*"))


def test_what_others_do_or_have_done_is_left_alone(several: Several) -> None:
    several.run(1, together=1)
    busy = WorkFolder(several.folder / "2.out", {})
    busy.lock(print)
    several.run(0)
    assert several.did == ["1", "0"]
    busy.close(done=True)


def test_what_was_made_of_other_inputs_is_made_again(several: Several) -> None:
    several.run(0)
    (several.folder / "given").write_text("another")
    several.run(1)
    assert several.did == ["0", "1", "2", "1", "2"]
    assert (several.folder / "1.out").read_text() == "1 of another"


def test_what_changed_while_an_output_was_made_makes_it_again(
    several: Several, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was read before that, so the job that takes it would have it of what was there before."""

    def edit(files: list[Path]) -> None:
        if len(several.did) == 2:
            (several.folder / "given").write_text("another")

    monkeypatch.setattr(lineage, "check_outputs", edit)
    several.run(0, together=2)
    several.run(1)
    assert several.did[:3] == ["0", "1", "1"]
    assert (several.folder / "1.out").read_text() == "1 of another"


def test_a_job_that_ends_just_before_it_is_locked_is_not_done_again(
    several: Several, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = WorkFolder.lock

    def late(self: WorkFolder, waits: Callable[[str], object] | None) -> bool:
        if waits is None and not several.there():
            (several.folder / "1.out").write_text("1 of its own process")
        return lock(self, waits)

    monkeypatch.setattr(WorkFolder, "lock", late)
    several.run(0, together=2)
    assert several.did == ["0"]
    assert several.there() == ["0.out", "1.out"]
    assert not list(several.folder.glob(".*"))


def test_a_job_that_was_killed_after_it_took_its_output_begins_again(
    several: Several, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snakemake has removed that output by then."""

    def killed(self: WorkFolder, done: bool) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(job, "_work_off", lambda *words: patch.setattr(WorkFolder, "close", killed))
        several.run(0)
    (several.folder / "0.out").unlink()
    several.run(0, together=1)
    assert several.did == ["0", "0"]
    assert several.there() == ["0.out"]
