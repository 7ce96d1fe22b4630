"""The `fairgen` command and its subcommands."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from workflows import PROJECT, result

from fairgen import cli
from fairgen.workflow import project


def write(path: Path, document: object) -> str:
    """Write a JSON file."""
    path.write_text(json.dumps(document))
    return str(path)


def test_compare_shows_differences_and_circumstances(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    a = write(tmp_path / "a.json", result(erm=[0.25, 0.25], lora=[0.5, 0.75]))
    other = result(ratios=(0.99, 0.999), erm=[0.5, 0.5])
    other["versions"]["torch"] = "9.9"
    b = write(tmp_path / "b.json", {**other, "config_sha256": "1" * 64})
    assert cli.main(["compare", a, b]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["dataset", "same"] in lines
    assert ["config_sha256", "0" * 64, "→", "1" * 64] in lines
    assert any(line[:1] == ["torch"] and line[-1] == "9.9" for line in lines)
    assert ["erm", "0.250", "n/a", "0.500", "n/a", "+0.250"] in lines
    assert ["lora", "0.625", "n/a", "none"] in lines
    assert ["erm", "none", "0.500", "n/a"] in lines
    assert lines[-1] == ["no", "interval", "(n/a)", "of", "fewer", "than", "3", "seeds"]


def test_compare_shows_intervals_and_the_settings_that_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    a, b = result(erm=[0.4, 0.5, 0.6]), result(erm=[0.8, 0.9, 1.0])
    a["config"] |= {"finetune": {"erm": {"steps": 20, "lr": 0.1}}, "seeds": [0, 1], "revision": None}
    b["config"] |= {"finetune": {"erm": {"steps": 400, "lr": 0.1, "patience": 0}}, "seeds": [0, 1]}
    b["results"]["0.99"]["erm"]["empty_groups"]["test"] = ["b"]
    assert cli.main(["compare", write(tmp_path / "a.json", a), write(tmp_path / "b.json", b)]) == 0
    out = capsys.readouterr().out
    assert "3 differ:" in out
    assert "  finetune.erm.steps: 20 → 400\n" in out
    assert "  finetune.erm.patience: not there → 0\n" in out
    assert "  revision: None → not there\n" in out
    assert "finetune.erm.lr" not in out
    assert "0.500   0.252 – 0.748   0.900   0.652 – 1.000   +0.400" in out
    assert "B: group b: no test image" in out
    assert "n/a" not in out


def test_compare_of_a_file_with_itself_says_same(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    a = write(tmp_path / "a.json", result(erm=[0.25]))
    assert cli.main(["compare", a, a]) == 0
    assert capsys.readouterr().out.count("same") == 4


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, "cannot read"),
        ("{", "is not JSON"),
        ("[]", "schema_version is None"),
        ('{"schema_version": 1}', "reads 3"),
    ],
)
def test_compare_refuses_other_files_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture, content: str | None, named: str
) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_text(content)
    assert cli.main(["compare", str(path), str(path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("fairgen compare: ")
    assert error.count("\n") == 1
    assert named in error


def test_subcommands_are_imported_when_called() -> None:
    program = (
        "import sys; from fairgen import cli; print('fairgen.commands.compare' in sys.modules, 'numpy' in"
        " sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"]
    done = subprocess.run(
        [sys.executable, "-m", "fairgen", "--help"], cwd=PROJECT, capture_output=True, text=True
    )
    assert all(name in done.stdout for name in cli.COMMANDS)


def test_a_package_without_its_workflow_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """As of `pip install` from a folder that only has the package."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(project, "PACKAGE", tmp_path / "site/fairgen")
    for words in (["estimate", "results/birds/worst_group.json"], ["check", "birds"], ["run", "birds"]):
        assert cli.main(words) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"fairgen {words[0]}: no Snakefile here, and none in {tmp_path}/site: ")
        assert error.count("\n") == 1


@pytest.mark.parametrize("command", ["init", "run", "export", "check", "verify", "estimate", "push"])
def test_ctrl_c_is_one_line(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Also while what a subcommand needs is being imported."""

    def interrupted(name: str) -> None:
        assert name == f"fairgen.commands.{command}"
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "import_module", interrupted)
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "x", "y"])
    assert ended.value.code == 130
    assert capsys.readouterr().err == f"fairgen {command}: stopped by the user\n"


def test_ctrl_c_while_snakemake_starts_is_one_line(tmp_path: Path) -> None:
    """A package of its name stands for one that takes long to be imported."""
    (tmp_path / "snakemake").mkdir()
    (tmp_path / "snakemake/__init__.py").write_text("raise KeyboardInterrupt")
    done = subprocess.run(
        [*project.SNAKEMAKE, "-n"], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr.count("\n")) == (130, 1)
    assert "stopped by the user" in done.stderr


def test_a_pipe_that_is_closed_is_no_error() -> None:
    """`fairgen run --help | head -0`: what is written when nobody reads any more."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "fairgen", "run", "--help"]
    done = subprocess.run(command, cwd=PROJECT, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("command", ["run", "watch", "init", "verify"])
def test_a_deleted_folder_is_told(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert cli.main([command, "x"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"fairgen {command}: the folder that this was called in is gone")
    assert said.count("\n") == 1
    monkeypatch.chdir(tmp_path)
