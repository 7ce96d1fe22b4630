"""`fairgen push`: what it shows, what it refuses, and what arrives at a hub that stands in for the real
one.
"""

import argparse
import io
import json
import os
import pickle
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import hub
import pytest

from fairgen import cli
from fairgen.commands.exports import card, record

FRONT = {
    "license": "apache-2.0",
    "library_name": "timm",
    "pipeline_tag": "image-classification",
    "tags": ["fairgen"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as `fairgen export` leaves it."""
    place = tmp_path / "made"
    (place / "data").mkdir(parents=True)
    (place / "model.safetensors").write_bytes(bytes(range(256)) * 10)
    (place / "data/labels.json").write_text("[]")
    (place / card.CARD).write_text(card.page(FRONT, ["# Card", "| base model | not stated; look it up |"]))
    record.write(place, "classifier", tmp_path / "model.safetensors", "model", {})
    return place


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[hub.Hub]:
    """A hub, and a token for it."""
    with hub.running() as found:
        monkeypatch.setenv("HF_ENDPOINT", found.address)
        monkeypatch.setenv("HF_TOKEN", hub.TOKEN)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr(
            "huggingface_hub.constants.HF_HUB_DISABLE_XET", True
        )  # the stand-in has no such storage
        yield found


def push(*words: object) -> int:
    return cli.main(["push", *map(str, words)])


def faults(capsys: pytest.CaptureFixture) -> list[str]:
    """The lines of the command, without the hub library's bars."""
    lines = capsys.readouterr().err.replace("\r", "\n").splitlines()
    return [line.removeprefix("fairgen push: ") for line in lines if line.startswith("fairgen push: ")]


def test_nothing_is_sent_without_go(folder: Path, there: hub.Hub, capsys: pytest.CaptureFixture) -> None:
    (folder / ".git").mkdir()
    (folder / ".git/config").write_text("secret")
    assert push(folder, "me/birds") == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == f"model me/birds at {there.address} (new, private), licence: apache-2.0"
    assert [line.split()[-1] for line in shown[1:5]] == [
        "README.md",
        "data/labels.json",
        "fairgen.json",
        "model.safetensors",
    ]
    assert shown[4].split()[:2] == ["3", "kB"]
    assert shown[5].endswith("in 4 files")
    assert shown[6] == "the card: base model: not stated; look it up"
    assert shown[-1] == "nothing was sent; --go sends it"
    assert {line.split()[0] for line in there.asked} == {"GET"}


def test_what_is_sent_arrives(folder: Path, there: hub.Hub, capsys: pytest.CaptureFixture) -> None:
    """Private, byte by byte, large files by their own way; the token is seen nowhere."""
    (folder / ".DS_Store").write_text("hidden")
    assert push(folder, "me/birds", "--go") == 0
    assert there.private == {"model/me/birds": True}
    sent = there.files["model/me/birds"]
    assert sent == {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("[!.]*") if p.is_file()
    }
    assert list(there.stored.values()) == [sent["model.safetensors"]]
    shown = capsys.readouterr()
    assert shown.out.splitlines()[-1] == hub.commit_url(there, "model/me/birds")
    assert hub.TOKEN not in shown.out + shown.err
    assert not any(hub.TOKEN.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_card_that_the_hub_refuses_leaves_no_empty_repository(
    folder: Path, there: hub.Hub, capsys: pytest.CaptureFixture
) -> None:
    there.refused = '"license" must be one of [apache-2.0, …]'
    assert push(folder, "me/birds", "--go") == 1
    assert "README.md: the hub does not take its front matter: " in faults(capsys)[0]
    assert there.private == {}


def test_a_public_repository_must_be_asked_for(
    folder: Path, there: hub.Hub, capsys: pytest.CaptureFixture
) -> None:
    assert push(folder, "me/seen", "--public", "--go") == 0
    assert there.private == {"model/me/seen": False}
    there.files.clear()
    capsys.readouterr()
    for go in ([], ["--go"]):
        assert push(folder, "me/seen", *go) == 1
        assert "me/seen is there and public; say --public" in faults(capsys)[0]
    assert there.files == {}
    assert push(folder, "me/seen", "--public", "--go") == 0
    assert there.files
    there.private["model/me/own"] = True
    assert push(folder, "me/own", "--public", "--go") == 0
    assert "(private, and stays so: --public is for new ones)" in capsys.readouterr().out
    assert there.private["model/me/own"] is True


def test_a_second_push_leaves_nothing_old(
    folder: Path, there: hub.Hub, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """What the export before had is deleted in the same commit; what nobody knows is asked about."""
    assert push(folder, "me/birds", "--go") == 0
    own = there.files["model/me/birds"]
    own[".gitattributes"] = b"of the hub"
    (folder / "data/labels.json").rename(folder / "data/names.json")
    record.write(folder, "classifier", tmp_path / "model.safetensors", "model", {})
    capsys.readouterr()
    assert push(folder, "me/birds") == 0
    assert "deleted  data/labels.json (of an export before)" in capsys.readouterr().out
    assert "data/labels.json" in own
    commits = len([line for line in there.asked if "/commit/" in line])
    assert push(folder, "me/birds", "--go") == 0
    assert own.keys() == {
        *(".gitattributes", "README.md", "data/names.json", "fairgen.json", "model.safetensors"),
    }
    assert len([line for line in there.asked if "/commit/" in line]) == commits + 1
    own["notes/mine.txt"] = b"by hand"
    capsys.readouterr()
    for go in ([], ["--go"]):
        assert push(folder, "me/birds", *go) == 1
        assert (
            "me/birds holds what neither this folder nor an export before has: notes/mine.txt;"
            in (faults(capsys)[0])
        )
    assert push(folder, "me/birds", "--go", "--keep-others") == 0
    assert own["notes/mine.txt"] == b"by hand"


def test_files_that_were_not_exported_and_places_are_refused(
    folder: Path, there: hub.Hub, capsys: pytest.CaptureFixture
) -> None:
    (folder / "notes.txt").write_text("for me")
    (folder / "more.json").write_text('{"_name_or_path": "/home/me/sd"}')
    assert push(folder, "me/birds", "--go") == 1
    assert [line.partition(" (")[0] for line in faults(capsys)] == [
        "more.json names a place on a machine",
        "more.json is not of the export",
        "notes.txt is not of the export",
    ]
    (folder / "more.json").unlink()
    assert there.asked == []
    assert push(folder, "me/birds", "--go", "--foreign") == 0
    assert there.files["model/me/birds"]["notes.txt"] == b"for me"


def test_a_hub_that_is_not_reached_is_told_of(
    folder: Path, there: hub.Hub, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is claimed about a repository that nobody has looked at."""
    monkeypatch.setenv("HF_TOKEN", "hf_" + "y" * 34)
    assert push(folder, "me/birds") == 0
    shown = capsys.readouterr()
    assert "(private if it is new)" in shown.out
    assert "warning: what me/birds holds was not looked at: the hub refuses" in shown.err


def test_a_data_set_goes_to_a_data_set(
    folder: Path, there: hub.Hub, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    record.write(folder, "dataset", tmp_path / "selection.parquet", "dataset", {})
    assert push(folder, "me/birds", "--go") == 0
    assert there.private == {"dataset/me/birds": True}
    assert "the card: its front matter has no task_categories" in capsys.readouterr().out
    assert push(folder, "me/birds", "--type", "model") == 1
    assert "holds a dataset, which is pushed as a dataset" in faults(capsys)[0]


@pytest.mark.parametrize("go", [[], ["--go"]])
def test_what_must_not_be_sent_is_refused(
    folder: Path, there: hub.Hub, capsys: pytest.CaptureFixture, go: list[str]
) -> None:
    """All reasons at once, a line each."""
    (folder / "model.safetensors").unlink()
    (folder / "data/labels.json").write_text("[1]")
    (folder / card.CARD).write_text(card.page({**FRONT, "license": card.UNKNOWN}, ["# Card"]))
    (folder / "weights.pt").write_bytes(b"any")
    (folder / "harmless.txt").write_bytes(pickle.dumps(argparse.Namespace(), protocol=4))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    (folder / "zipped").write_bytes(buffer.getvalue())
    (folder / "link").symlink_to("/etc/hostname")
    assert push(folder, "me/birds", *go) == 1
    found = faults(capsys)
    for said in (
        "link is a link; copy what it leads to",
        "weights.pt is a pickle, which can run code; leave it out",
        "harmless.txt is a pickle",
        "zipped is a pickle",
        "model.safetensors is missing",
        "data/labels.json was changed since the export",
        "README.md states no licence; write `license:`",
    ):
        assert [line for line in found if line.startswith(said)], said
    assert len(found) == 7  # strays that are pickles are told of once
    assert there.asked == []


@pytest.mark.parametrize(
    ("front", "said"),
    [
        ({"license": "other"}, "README.md states no licence"),
        ({"library_name": "timm"}, "README.md states no licence"),
        ({"license": "other", "license_name": "mine", "license_link": "https://example.org"}, ""),
        ({"license": ["mit", "apache-2.0"]}, ""),
        ({}, "README.md has no front matter"),
    ],
)
def test_a_licence_is_one_that_says_something(
    folder: Path, capsys: pytest.CaptureFixture, front: dict, said: str
) -> None:
    (folder / card.CARD).write_text(card.page(front, ["# Card"]) if front else "# Card\n")
    assert push(folder, "me/birds") == bool(said)
    assert (said == "") or faults(capsys)[0].startswith(said)


def test_folders_of_others_are_asked_for(
    tmp_path: Path, there: hub.Hub, capsys: pytest.CaptureFixture
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.txt").write_text("a")
    for words, said in (
        ([], "holds no fairgen.json: `fairgen export` has not written it; --foreign"),
        (["--foreign"], "say with --type whether it holds a model or a dataset"),
        (["--foreign", "--type", "model"], "README.md is missing: the folder has no card"),
    ):
        assert push(other, "me/x", *words) == 1
        assert said in faults(capsys)[0]
    (other / card.CARD).write_text(card.page(FRONT, ["# Card"]))
    assert push(other, "me/x", "--foreign", "--type", "model", "--go") == 0
    assert there.files["model/me/x"].keys() == {"a.txt", "README.md"}


def test_mistakes_and_the_hubs_answers_are_one_line(
    folder: Path,
    there: hub.Hub,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert push(folder, "birds") == 1
    assert faults(capsys) == ["birds is no repository of a hub; give OWNER/NAME"]
    assert push(tmp_path / "gone", "me/birds") == 1
    assert "gone is no folder" in faults(capsys)[0]
    there.broken = True
    assert push(folder, "me/birds", "--go") == 1
    (line,) = faults(capsys)
    assert line.startswith("the hub refuses: ")
    assert hub.TOKEN not in line
    monkeypatch.setenv("HF_TOKEN", "hf_" + "y" * 34)
    assert push(folder, "me/birds", "--go") == 1
    (line,) = faults(capsys)
    assert line.startswith("the hub refuses: ") and "Invalid user token" in line
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
    assert push(folder, "me/birds", "--go") == 1
    assert faults(capsys) == ["nobody is logged in at the hub; call `hf auth login`, or set HF_TOKEN"]
    (folder / record.RECORD).write_text("{")
    assert push(folder, "me/birds") == 1
    assert "fairgen.json is damaged; export the folder again" in faults(capsys)[0]


@pytest.mark.parametrize("name", ["pipe", card.CARD, record.RECORD, "data/model.safetensors"])
def test_a_pipe_is_refused_and_not_waited_for(folder: Path, name: str, capsys: pytest.CaptureFixture) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    assert push(folder, "me/it") == 1
    assert faults(capsys) == [f"{name} is no plain file; take it out"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"files": []}, "files: .* a block of keys is expected"),
        ({"files": {"a": 5}}, "files.a: this is the number 5"),
        ({"repository": "zzz"}, "repository: 'zzz' is none of model, dataset"),
        ({"kind": 5}, "kind: '5' is none of"),
    ],
    ids=str,
)
def test_a_damaged_record_is_one_line(
    folder: Path, change: dict, told: str, capsys: pytest.CaptureFixture
) -> None:
    file = folder / record.RECORD
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    assert push(folder, "me/it") == 1
    (line,) = faults(capsys)
    assert re.search(told, line)


def test_keys_and_places_in_a_card_are_told_and_a_licence_is_text(
    folder: Path, there: hub.Hub, capsys: pytest.CaptureFixture
) -> None:
    text = (folder / card.CARD).read_text()
    (folder / card.CARD).write_text(f"{text}\nlogged in by hf_{'a1B2' * 8}\nkept in /home/me/secret/x\n")
    assert push(folder, "me/it") == 0
    out = capsys.readouterr().out
    assert "holds what looks like a key (hf_a1B…)" in out
    assert "names a place on a machine (/home/me/secret/x)" in out
    assert f"hf_{'a1B2' * 8}" not in out
    for licence in ("5", "[5]", "true"):
        (folder / card.CARD).write_text(text.replace("license: apache-2.0", f"license: {licence}"))
        assert push(folder, "me/it") == 1
        assert "which is no text" in faults(capsys)[0]
