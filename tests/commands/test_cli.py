"""The `fairgen` command and its subcommands."""

import json
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
