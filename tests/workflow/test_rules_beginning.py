"""What the rules make of the command line beside the targets: values that a data set goes over are told, keys
keep the order of the files, and the machine's GPUs are handed out.
"""

import json
import os
from pathlib import Path

import pytest
import yaml
from workflows import Workflow

from fairgen.workflow import project
from fairgen.workflow.expansion import expanded
from fairgen.workflow.hidden import hidden
from fairgen.workflow.method_chain import merged

STEPS = {"pretrain": {"steps": 9}}


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (STEPS, "config: pretrain.steps: 9, as the command line has it, changes nothing on birds, whose own"),
        ({"methods": {"clustered": {"cluster": {"k": 8}}}}, "config: methods.clustered.cluster.k: 8, as "),
        ({"classifier": {"args": {}}}, "config: classifier.args: {}, as the command line has it,"),
    ],
)
def test_a_value_that_the_data_set_has_itself_changes_nothing(config: dict, given: dict, line: str) -> None:
    whole = expanded(merged(config, given))
    (said,) = hidden(given, whole, ["birds"])
    assert said.startswith(line)
    assert said.endswith(f"give it as datasets.birds.settings.{line.split(': ')[1]}")
    assert [*hidden(given, whole, ["utkface"])] == []


def test_data_sets_with_the_same_value_share_a_line(config: dict) -> None:
    """Also if they are named twice, as a data set is among its own replicates."""
    entry = {"datasets": {"birds-2": {"like": "birds", "root": "results/birds-2"}}}
    whole = expanded(merged(config, merged(STEPS, entry)))
    (said,) = hidden(STEPS, whole, ["birds", "birds-2", "birds"])
    assert "changes nothing on birds, birds-2, whose own settings have 300" in said


@pytest.mark.parametrize(
    "given",
    [
        {"score": {"model": "~/clip"}, "datasets": {"birds": {"settings": {"score": {"model": "~/clip"}}}}},
        {"pretrain": {"weights": "score"}},  # not among the birds' own
        {"pretrain": {"steps": 300}},  # what they have
        {"methods": {"lora": {"adapt": {"kind": "full"}}}, "ratios": [0.9], "threads": 2},
        merged(STEPS, {"datasets": {"birds": {"settings": {"pretrain": {"steps": 7}}}}}),  # meant so
    ],
)
def test_what_counts_or_is_meant_so_is_not_told(config: dict, given: dict) -> None:
    assert [*hidden(given, expanded(merged(config, given)), ["birds"])] == []


def test_keys_are_in_the_order_of_the_files(config: dict) -> None:
    """Snakemake puts the command line's first, and the order of groups is that of the classes."""
    groups = config["datasets"]["birds"]["groups"]
    turned = {**config, "datasets": {"birds": {"groups": dict(reversed(groups.items())), "own": 1}}}
    found = project.in_order(turned, config)
    assert [*found["datasets"]["birds"]["groups"]] == [*groups]
    assert found == turned


def test_snakemake_tells_what_is_hidden_and_keeps_the_order_of_classes(workflow: Workflow) -> None:
    """An edit of one group's prompt on the command line trains no classifier of real data again."""
    group = {"waterbird-water": {"prompt": "a [V] waterbird on the water"}}
    (workflow.folder / "own.yaml").write_text(yaml.safe_dump({"datasets": {"birds": {"groups": group}}}))
    target = "results/birds/bias-0.99/erm/seed-0/metrics.json"
    words = ["--dry-run", "--printshellcmds", "--configfile", "own.yaml", "--config", json_words(STEPS)]
    done = workflow.run(*words, "--", target)
    assert done.returncode == 0, done.stderr
    assert '"classes":["landbird","waterbird"]' in done.stdout + done.stderr
    assert '"classes":["waterbird"' not in done.stdout + done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("fairgen: warning: ")]
    assert [line.split(": ")[3] for line in told] == ["pretrain.steps"]


def test_arguments_of_another_model_take_nothing_of_the_embedded_one(workflow: Workflow) -> None:
    """Snakemake merges them; those of the command line stand alone, whatever config.yaml has."""
    network = {"model": "resnet18", "pretrained": False, "args": {"drop_rate": 0.1}}
    own = {"datasets": {"birds": {"settings": {"classifier": network}}}}
    (workflow.folder / "own.yaml").write_text(yaml.safe_dump(own))
    words = ["--dry-run", "--printshellcmds", "--configfile", "own.yaml", "--config", json_words(STEPS)]
    done = workflow.run(*words, "--", "results/birds/bias-0.99/erm/seed-0/metrics.json")
    assert done.returncode == 0, done.stderr
    assert '"args":{"drop_rate":0.1},"model":"resnet18"' in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "gpu", "told"),
    [((), 1, '"gpu", 2'), (("--resources", "gpu=1"), 1, '"gpu", 1'), ((), 0, "")],
)
def test_the_gpus_of_the_machine_are_handed_out(
    workflow: Workflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple, gpu: int, told: str
) -> None:
    """Where it has two, no more jobs than that are begun, unless the command line says otherwise."""
    smi = tmp_path / "bin/nvidia-smi"
    smi.parent.mkdir()
    smi.write_text("#!/bin/sh\necho 81559\necho 81559\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{smi.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    workflow.edit({"datasets": {"birds": {"gpu": gpu, "options": {"train": 60, "test": 5, "shift": 0}}}})
    done = workflow.run("results/birds/index.parquet", *words)
    assert done.returncode == 0, done.stderr
    provided = [line for line in done.stderr.splitlines() if line.startswith("Provided resources: ")]
    assert len(provided) == bool(told)
    assert all(told in line for line in provided)


def json_words(block: dict) -> str:
    """A block as a word of `--config`."""
    ((name, value),) = block.items()
    return f"{name}={json.dumps(value)}"
