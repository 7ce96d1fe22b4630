"""Bases of flow matching through the whole workflow: from drawings to the selected images."""

import re

import flow_miniatures
import pytest
from workflows import TINY, Workflow

from fairgen.core import parquet
from fairgen.models import adapters

SELECTION = "results/birds/bias-0.999/lora/selection.parquet"


# test_flow_bases.py has the chain of stages for each of them; here is the workflow around it
ONE, *OTHERS = flow_miniatures.ARCHITECTURES


@pytest.mark.slow
@pytest.mark.parametrize(
    "architecture", [ONE, *(pytest.param(name, marks=pytest.mark.exhaustive) for name in OTHERS)]
)
def test_a_base_of_flow_matching_adapts_draws_and_is_scored(
    workflow: Workflow, flow_folders: dict, architecture: str
) -> None:
    workflow.warm = True
    workflow.edit(TINY)
    solver = {"solver": {"scheduler": "euler", "steps": 2}}
    lora = {"steps": 2, "warmup": 0, "targets": [], "text_lr": 0}
    blocks = {
        "diffusion": {"model": str(flow_folders[architecture])},
        "adapt": {"min_snr": 0, "weighting": "logit_normal", "lora": lora},
        "sample": {"per_group": 4, **solver},
        "prior": solver,
        "filter": {"by": "cosine", "threshold": -1, "quota": 3},
    }
    workflow.edit({"datasets": {"birds": {"settings": blocks}}})
    done = workflow.run(SELECTION)
    assert done.returncode == 0, done.stdout + done.stderr
    kept = parquet.rows(workflow.folder / SELECTION)
    assert len(kept) == 16
    assert sum(row["kept"] for row in kept) == 12
    folder = workflow.folder / "results/birds/any" / (workflow.folder / SELECTION).parent.name
    samples = parquet.rows(folder / "samples/landbird-land.parquet")
    adapter = folder / "adapters/landbird-land/0.safetensors"
    facts = adapters.read_facts(adapter)
    assert {row["adapter_hash"] for row in samples} == {adapters.digest(adapter)}
    assert {row["base"] for row in samples} == {f"{flow_folders[architecture]}#{facts['base']}"}
    assert len({row["seed"] for row in samples}) == 4
    assert facts["settings"]["weighting"] == "logit_normal"
    # other settings of its process train the adapters anew, and what is made with them
    workflow.edit({"datasets": {"birds": {"settings": {"adapt": {"shift": 2}}}}})
    planned = workflow.run("--dry-run", SELECTION).stdout
    counts = dict(re.findall(r"^(\w+) +(\d+)$", planned, re.M))
    assert counts == {"adapt": "4", "sample": "4", "score": "1", "filter": "1", "total": "10"}
    assert facts["settings"]["recipe"]["targets"] == []
