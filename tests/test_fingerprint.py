"""Which edits of the code rerun which stages."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROJECT, copy_workflow

STAGES = ("decode", "embed", "cluster", "adapt", "sample", "filter", "pretrain", "finetune", "metrics")


def fingerprints(folder: Path) -> dict[str, str]:
    """Fingerprints of all stages in a copy of the package."""
    program = f"from fairgen.fingerprint import fingerprint\nfor s in {STAGES!r}: print(s, fingerprint('fairgen.' + s))"
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    return dict(line.split() for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("cluster.py", "import numpy as np\n", "import numpy as np  # a comment\n", set()),
        ("cluster.py", '"""Stage `cluster`:', '"""Another docstring:', set()),
        ("denoising.py", "import Adapt\n", "import Adapt, Lora\n", set()),  # for type checkers only
        ("cluster.py", "nredo=3", "nredo=4", {"cluster"}),
        ("sampling.py", "flat.min(1) == flat.max(1)", "flat.max(1) == flat.min(1)", {"sample"}),
        ("dreambooth.py", '"weight_decay": 1e-2', '"weight_decay": 1e-3', {"adapt"}),
        ("training.py", "score > self.score", "score >= self.score", {"pretrain", "finetune"}),
        ("pixels.py", "1 << 20", "1 << 21", {"decode", "pretrain", "finetune"}),
        ("models/clip.py", "/ 255", "/ 256", {"embed"}),
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


def test_importing_fairgen_imports_no_torch() -> None:
    program = "import fairgen, fairgen.config, fairgen.fingerprint, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
