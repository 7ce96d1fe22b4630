"""Fingerprints that an earlier call has found stand for the same files only."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairgen.core import fingerprint as parsing
from fairgen.workflow import known_code
from fairgen.workflow.notes import Notes

STAGE = "fairgen.stage"
CACHED = (
    *(known_code.fingerprint, known_code.present, known_code.remembered),
    *(parsing._parse, parsing._content, parsing.fingerprint),
)


def forget() -> None:
    """What a process has found is gone with it."""
    for function in CACHED:
        function.cache_clear()


def found() -> str:
    """The stage's fingerprint, as a new process finds it."""
    forget()
    return known_code.fingerprint(STAGE)


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A stage in a package of its own, and an empty cache."""
    monkeypatch.setenv("FAIRGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(parsing, "PACKAGE", tmp_path / "fairgen")
    file = tmp_path / "fairgen/stage.py"
    file.parent.mkdir()
    file.write_text("A = 1\n")
    yield file
    forget()


def test_known_code_is_not_parsed_again(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = found()
    assert first == parsing.fingerprint(STAGE)
    forget()
    monkeypatch.setattr(parsing, "fingerprint", None)
    assert known_code.fingerprint(STAGE) == first


def test_an_edit_of_any_file_parses_again(code: Path) -> None:
    first = found()
    code.write_text("A = 2\n")
    second = found()
    assert second != first
    (code.parent / "other.py").write_text("B = 1\n")
    assert found() == second  # parsed again, with the same result
    code.write_text("A = 1\n")
    assert found() == first


@pytest.mark.parametrize("undone", [False, True])
def test_an_edit_since_the_first_question_is_not_remembered(code: Path, undone: bool) -> None:
    """What was parsed may be another file, also where the present one is the first again."""
    (code.parent / "other.py").write_text("from fairgen import stage\n")
    first = found()
    forget()
    known_code.NOTES.path.unlink()
    known_code.present()
    time.sleep(0.02)  # a file's times are no finer than some milliseconds
    code.write_text("A = 2\n")
    assert known_code.fingerprint(STAGE) != first
    if undone:
        code.write_text("A = 1\n")
    known_code.fingerprint("fairgen.other")
    assert known_code.NOTES.read() == {}
    code.write_text("A = 1\n")
    assert found() == first


def test_code_behind_a_linked_folder_is_parsed_every_time(code: Path, tmp_path: Path) -> None:
    """The hash over the package's files does not look there."""
    other = tmp_path / "elsewhere/own.py"
    other.parent.mkdir()
    other.write_text("B = 1\n")
    (code.parent / "linked").symlink_to(other.parent)
    code.write_text("from fairgen.linked import own\n")
    first = found()
    other.write_text("B = 2\n")
    assert found() != first


def test_a_linked_folder_may_come_later(code: Path, tmp_path: Path) -> None:
    """An import of what is not there yet is no mistake that parsing finds."""
    code.write_text("import fairgen.linked.own\n")
    first = found()
    other = tmp_path / "elsewhere/own.py"
    other.parent.mkdir()
    other.write_text("B = 1\n")
    (code.parent / "linked").symlink_to(other.parent)
    assert found() != first


def test_a_linked_folder_without_code_changes_nothing(code: Path, tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (code.parent / "weights").symlink_to(tmp_path / "weights")
    found()
    assert len(known_code.NOTES.read()) == 1


@pytest.mark.parametrize("content", ["", "[]", '{"KEY": 5}', '{"KEY": "short"}', "\x00", "[" * 200_000])
def test_a_spoilt_note_is_no_fingerprint(code: Path, content: str) -> None:
    first = found()
    (key,) = known_code.NOTES.read()
    known_code.NOTES.path.write_text(content.replace("KEY", key))
    assert found() == first


def test_notes_keep_the_latest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRGEN_CACHE", str(tmp_path / "cache"))
    notes = Notes("some", kept=2)
    assert notes.read() == {}
    for key in "abca":
        notes.add({key: f"of {key}"})
    assert [*notes.read().items()] == [("c", "of c"), ("a", "of a")]


def test_notes_that_cannot_be_written_stop_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv("FAIRGEN_CACHE", str(tmp_path / "cache"))
    Notes("some", kept=2).add({"a": "x"})
    assert Notes("some", kept=2).read() == {}


def test_a_folder_in_their_place_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRGEN_CACHE", str(tmp_path))
    (tmp_path / "some.json/inner").mkdir(parents=True)
    Notes("some", kept=2).add({"a": "x"})
    assert [path.name for path in tmp_path.iterdir()] == ["some.json"]


def test_a_user_without_a_home_has_no_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    Notes("some", kept=2).add({"a": "x"})
    assert Notes("some", kept=2).read() == {}
