"""The profile for Slurm on a real cluster of one node: groups share an allocation and its GPU, a killed job
is retried.
"""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import slurm
from workflows import TINY, Workflow, copy_workflow

TARGET = "results/birds/worst_group.json"
SAME = ("bias-0.999/split.parquet", "any/vanilla/samples/waterbird-land.parquet")  # compared with a local run
PROFILE = ["--workflow-profile", "profiles/slurm"]
SETTINGS = ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2"]
PATIENCE = 480  # seconds until the first job has looked for its GPU, and from there to the end
GPU = '    return torch.device("cuda" if held else "cpu")\n'
# A GPU that is none: the job claims it as ever, writes down what it got, and computes on the CPU.
NO_GPU = """    import json
    import sys
    got = {name: os.environ.get(name) for name in ("SLURM_JOB_ID", "SLURM_STEP_GPUS", "CUDA_VISIBLE_DEVICES")}
    with open("devices.jsonl", "a") as file:
        print(json.dumps({"stage": Path(sys.argv[0]).stem, "process": os.getpid(), **got}), file=file)
    return torch.device("cpu")
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm.Cluster]:
    """The running cluster; .ci/run sets FAIRGEN_CI_SLURM where its packages could be installed."""
    plugin = importlib.util.find_spec("snakemake_executor_plugin_slurm")
    slurm.clear_abandoned()
    reason = slurm.missing() if plugin else "no snakemake-executor-plugin-slurm: pip install -e '.[test]'"
    if reason:
        (pytest.fail if os.environ.get("FAIRGEN_CI_SLURM") else pytest.skip)(reason)
    with slurm.Cluster(tmp_path_factory.mktemp("slurm")) as started:
        yield started


@dataclass
class Finished:
    """A run through Slurm, and what its jobs wrote down."""

    workflow: Workflow
    devices: list[dict[str, str]]  # of every look at the device
    killed: dict[str, str]  # the look whose process was killed

    def job(self, number: str) -> str:
        """What Slurm knows of a submission."""
        return slurm.ask("scontrol", "show", "job", number)


def looks(workflow: Workflow) -> list[dict[str, str]]:
    """What the jobs have written down so far."""
    path = workflow.folder / "devices.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def pretend(workflow: Workflow) -> None:
    """Let the jobs of this copy claim a GPU that is none."""
    module = workflow.folder / "fairgen/core/devices.py"
    assert GPU in module.read_text()
    module.write_text(module.read_text().replace(GPU, NO_GPU))


@pytest.fixture(scope="module")
def finished(cluster: slurm.Cluster, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The tiny run with one GPU per job; the first sample job is killed with SIGKILL."""
    workflow = copy_workflow(tmp_path_factory.mktemp("run"))
    workflow.edit({**TINY, "compare": ["vanilla"]})
    workflow.edit({"datasets": {"birds": {"gpu": 1}}})
    pretend(workflow)
    said = workflow.folder / "terminal.txt"
    command = [sys.executable, "-m", "snakemake", *PROFILE, *SETTINGS, TARGET]
    with said.open("w") as file:
        run = subprocess.Popen(
            command, cwd=workflow.folder, env=workflow.environment(), stdout=file, stderr=file
        )
    try:
        slurm.wait_for(
            lambda: looks(workflow) or run.poll() is not None, "no job has looked for its GPU", PATIENCE
        )
        assert run.poll() is None, said.read_text()
        killed = looks(workflow)[0]
        os.kill(int(killed["process"]), signal.SIGKILL)
        assert run.wait(PATIENCE) == 0, said.read_text()[-5000:]
    except (TimeoutError, subprocess.TimeoutExpired) as error:
        pytest.fail(f"{error}\n{cluster.state()}\n{said.read_text()[-5000:]}")
    finally:
        run.kill()
        run.wait()
    return Finished(workflow, looks(workflow), killed)


@pytest.mark.slow
def test_results_are_those_of_a_local_run(finished: Finished, tmp_path: Path) -> None:
    (table,) = json.loads((finished.workflow.folder / TARGET).read_text())["results"].values()
    assert len(table["vanilla"]["groups"]) == 4
    assert "Nothing to be done" in (done := finished.workflow.run("--dry-run", TARGET)).stdout + done.stderr
    local = copy_workflow(tmp_path)
    local.edit({**TINY, "compare": ["vanilla"]})
    pretend(local)  # what is made records the code that made it
    targets = [f"results/birds/{name}" for name in SAME]
    assert local.run(*targets).returncode == 0
    for name in targets:
        assert (local.folder / name).read_bytes() == (finished.workflow.folder / name).read_bytes(), name


@pytest.mark.slow
def test_a_killed_job_is_retried_with_more_memory_and_time(finished: Finished) -> None:
    assert finished.killed["stage"] == "sample"
    first = finished.killed["SLURM_JOB_ID"]
    (second,) = {look["SLURM_JOB_ID"] for look in finished.devices if look["stage"] == "sample"} - {first}
    # four samples of two hours each, and the memory of one
    for job, state, memory, limit in [
        (first, "FAILED", "24000M", "08:00:00"),
        (second, "COMPLETED", "48000M", "16:00:00"),
    ]:
        text = finished.job(job)
        assert f"JobState={state}" in text
        assert f"MinMemoryNode={memory}" in text
        assert f"TimeLimit={limit}" in text


@pytest.mark.slow
def test_short_jobs_of_a_group_share_an_allocation_and_its_gpu(finished: Finished) -> None:
    jobs: dict[tuple[str, str], set[str]] = {}
    for look in finished.devices:
        assert look["CUDA_VISIBLE_DEVICES"] == look["SLURM_STEP_GPUS"] in ("0", "1")
        if look["SLURM_JOB_ID"] != finished.killed["SLURM_JOB_ID"]:
            jobs.setdefault((look["SLURM_JOB_ID"], look["stage"]), set()).add(look["process"])
    assert {stage: len(processes) for (_, stage), processes in jobs.items()} == dict(
        sample=4, score=1, pretrain=1, finetune=1
    )
    assert len(jobs) == 4
    assert all(re.search(r"TresPerJob=gres:gpu:1\b", finished.job(number)) for number, _ in jobs)
