"""Which edits of the code rerun which stages."""

import subprocess
import sys
from pathlib import Path

import pytest
from moves import moved
from workflows import PROJECT, copy_workflow

from fairgen.core import fingerprint as fingerprints_of
from fairgen.core.fingerprint import fingerprint

STAGES = (
    "split",
    "decode",
    "embed",
    "cluster",
    "adapt",
    "sample",
    "filter",
    "pretrain",
    "finetune",
    "metrics",
)


MOVES = [
    ("core.seeds", "data.randoms"),
    ("core.images", "core.pictures"),
    ("generate.solver", "models.solver"),
]


def fingerprints(folder: Path) -> dict[str, str]:
    """Fingerprints of all stages in a copy of the package."""
    imports = "from fairgen.core.fingerprint import fingerprint\nfrom fairgen.workflow.stages import module\n"
    program = f"{imports}for s in {STAGES!r}: print(s, fingerprint(module(s)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True
    )
    return dict(line.split() for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("data/kmeans.py", "import numpy as np\n", "import numpy as np  # a comment\n", set()),
        ("data/cluster.py", '"""Stage `cluster`:', '"""Another docstring:', set()),
        # for type checkers only
        ("generate/material.py", "import Base\n", "import Base, locate\n", set()),
        ("data/split.py", "no test image is left", "there is no test image", set()),  # a message
        ("data/split.py", "fewer images than ratio", "less images than ratio", set()),  # what a log says
        ("core/progress.py", "EVERY, SHARE = 5.0", "EVERY, SHARE = 9.0", set()),  # of what a job tells
        ("data/kmeans.py", "nredo=3", "nredo=4", {"cluster"}),
        ("generate/solver.py", "flat.min(1) == flat.max(1)", "flat.max(1) == flat.min(1)", {"sample"}),
        ("generate/optimization.py", '"weight_decay": 1e-2', '"weight_decay": 1e-3', {"adapt"}),
        (
            "classify/model_selection.py",
            "score > self.score",
            "score >= self.score",
            {"pretrain", "finetune"},
        ),
        ("data/pixels.py", "(-len(text) % 8)", "(-len(text) % 16)", {"decode", "pretrain", "finetune"}),
        ("models/contrastive.py", "/ 255", "/ 256", {"embed"}),
    ],
)
def test_edits(tmp_path: Path, file: str, old: str, new: str, changed: set) -> None:
    copy_workflow(tmp_path)
    before = fingerprints(tmp_path)
    path = tmp_path / "fairgen" / file
    text = path.read_text()
    assert old in text, "the code has moved: name another place"
    path.write_text(text.replace(old, new))
    after = fingerprints(tmp_path)
    assert {stage for stage in STAGES if before[stage] != after[stage]} == changed


@pytest.mark.parametrize(("old", "new"), MOVES)
def test_a_module_that_moves_changes_nothing(tmp_path: Path, old: str, new: str) -> None:
    copy_workflow(tmp_path)
    before = fingerprints(tmp_path)
    moved(tmp_path, old, new)
    assert fingerprints(tmp_path) == before


def test_no_imports_run_in_a_circle() -> None:
    """A fingerprint is made of the fingerprints of what is imported."""
    modules = [
        ".".join(path.relative_to(PROJECT).with_suffix("").parts)
        for path in (PROJECT / "fairgen").rglob("*.py")
    ]
    assert len({fingerprint(name.removesuffix(".__init__")) for name in modules}) > 100


def test_importing_fairgen_imports_no_torch() -> None:
    program = (
        "import fairgen, fairgen.workflow.stage_settings, fairgen.core.fingerprint, sys; print('torch' in"
        " sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_an_editors_lock_is_no_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.py").write_text("A = 1\n")
    monkeypatch.setattr(fingerprints_of, "PACKAGE", tmp_path)
    before = fingerprints_of.sources()
    (tmp_path / ".#a.py").symlink_to("me@host.12:34")
    (tmp_path / "b.py").symlink_to("nowhere")
    assert fingerprints_of.sources() == before
    (tmp_path / "a.py").write_text("A = 2\n")
    assert fingerprints_of.sources() != before
