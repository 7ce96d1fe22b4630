"""The whole chain on files of faces in UTKFace's layout, at the tiny model's size."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from workflows import PROJECT, Workflow

from fairgen.core import parquet

# Fewer jobs than the example has, which runs as it is on real photographs; test_workflow.py has clusters and
# two seeds.
SMALLER = {"seeds": [0], "methods": {"clustered-lora": {"cluster": {"k": 1}}}}


def faces(folder: Path) -> None:
    """A folder in UTKFace's layout with malformed names and files among it."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for g, (age, gender, count) in enumerate(((3, 0, 60), (30, 0, 40), (3, 1, 40), (30, 1, 60))):
        for i in range(count):
            pixels = rng.integers(0, 60, (50, 50, 3)) + np.array([60 * gender, 10 * g, 2 * age])
            Image.fromarray(pixels.astype(np.uint8)).save(
                folder / f"{age}_{gender}_0_20170110220033{g}{i:02d}.jpg.chip.jpg"
            )
    (folder / "61_1_20170109142408075.jpg.chip.jpg").write_bytes(b"no image")
    (folder / "3_0_0_20170110220033999.jpg").write_bytes(b"")


def run_faces(workflow: Workflow, root: Path, change: dict) -> list[dict]:
    """Run the example for a folder of faces, with a change; returns the rejects."""
    (workflow.folder / "data").mkdir()
    (workflow.folder / "data/utkface").symlink_to(root)
    (workflow.folder / "change.yaml").write_text(yaml.safe_dump(change))
    words = ["results/utkface/worst_group.json", "results/utkface/figures/worst_group.png"]
    done = workflow.run("--configfile", "examples/utkface-tiny.yaml", "change.yaml", "--", *words)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    document = json.loads((workflow.folder / words[0]).read_text())
    assert list(document["results"]["0.9"]) == ["erm", "clustered-lora"]
    return parquet.rows(workflow.folder / "results/utkface/rejects.parquet")


@pytest.mark.slow
def test_the_whole_chain_runs_on_files_of_faces(
    workflow: Workflow, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("faces") / "crops"
    faces(root)
    workflow.warm = True
    rejects = run_faces(workflow, root, SMALLER)
    assert {r["file"] for r in rejects if r["malformed"]} == {
        "61_1_20170109142408075.jpg.chip.jpg",
        "3_0_0_20170110220033999.jpg",
    }


REAL = Path(os.environ.get("FAIRGEN_UTKFACE", PROJECT.parent / "shared/data/utkface"))


@pytest.mark.slow
@pytest.mark.exhaustive  # the chain is that of the test above, and `test_real_data.py` reads these files
@pytest.mark.skipif(not REAL.is_dir(), reason="no folder of real UTKFace crops (set FAIRGEN_UTKFACE)")
def test_the_whole_chain_runs_on_real_photographs(workflow: Workflow) -> None:
    rejects = run_faces(workflow, REAL.resolve(), {})
    named = {r["file"] for r in rejects if r["malformed"]}
    assert {"39_1_20170116174525125.jpg.chip.jpg", "61_1_20170109142408075.jpg.chip.jpg"} <= named
