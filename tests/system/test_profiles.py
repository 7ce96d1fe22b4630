"""Every profile plans what a local run does, and asks for what the rules say; test_slurm.py runs one for
real.
"""

import importlib.util
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from workflows import PROJECT, TINY, Workflow, copy_workflow, planned

PLUGINS = {"generic": "cluster_generic", "kubernetes": "kubernetes", "slurm": "slurm"}
PROFILES = sorted(path.name for path in (PROJECT / "profiles").iterdir() if path.name != "default")


def settings(name: str) -> dict:
    """A profile's settings."""
    return yaml.safe_load((PROJECT / f"profiles/{name}/profile.yaml").read_text())


def through(workflow: Workflow, profile: str) -> list[str]:
    """Words that choose a profile; its volume is the copy."""
    if importlib.util.find_spec(f"snakemake_executor_plugin_{PLUGINS[profile]}") is None:
        pytest.skip(f"the profile's plugin is not installed: pip install -e '.[{profile}]'")
    volume = (
        ["--default-storage-prefix", str(workflow.folder)]
        if "default-storage-prefix" in settings(profile)
        else []
    )
    return ["--workflow-profile", f"profiles/{profile}", *volume, "--"]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """The jobs of a local run."""
    workflow = copy_workflow(tmp_path_factory.mktemp("local"))
    workflow.edit(TINY)
    return planned(workflow)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_plans_the_jobs_of_a_local_run(
    workflow: Workflow, local: dict[str, int], profile: str
) -> None:
    workflow.edit(TINY)
    assert planned(workflow, *through(workflow, profile)) == local


@pytest.mark.parametrize("profile", PROFILES)
def test_jobs_ask_for_gpus_memory_and_time(workflow: Workflow, profile: str) -> None:
    """Those that the rule states, and the profile's for rules that state none."""
    workflow.edit({"datasets": {"birds": {"gpu": 2}}})
    words = through(workflow, profile)
    done = workflow.run("--dry-run", *words, "results/birds/bias-0.99/erm/seed-0/metrics.json")
    assert done.returncode == 0, done.stdout + done.stderr
    asked = dict(
        re.findall(r"^ *rule (\w+):$.*?^ +resources: ([^\n]+)$", done.stdout + done.stderr, re.M | re.S)
    )
    needs = {name: dict(re.findall(r"(gpu|mem_mb|runtime)=(\w+)", text)) for name, text in asked.items()}
    assert needs["finetune"] == {"gpu": "2", "mem_mb": "16000", "runtime": "120"}
    assert needs["metrics"]["mem_mb"] == "4000"
    assert needs["metrics"].get("gpu", "0") == "0"


def test_the_slurm_profile_groups_rules_that_exist() -> None:
    found = {
        name
        for path in PROJECT.glob("rules/*.smk")
        for name in re.findall(r"^rule (\w+):", path.read_text(), re.M)
    }
    profile = settings("slurm")
    assert profile["groups"].keys() <= found
    assert profile["group-components"].keys() <= set(profile["groups"].values())


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profiles_plugin_is_an_extra_and_part_of_the_tests(profile: str) -> None:
    text = (PROJECT / "pyproject.toml").read_text()
    assert re.search(
        rf"^{profile} = .*snakemake-executor-plugin-{PLUGINS[profile].replace('_', '-')}>=", text, re.M
    )
    assert profile in re.search(r"^test = \[\"fairgen\[([a-z,]+)\]", text, re.M)[1].split(",")


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("COMPLETED", "success"),
        ("PENDING", "running"),
        ("RUNNING", "running"),
        ("", "running"),
        ("CANCELLED by 7", "failed"),
        ("PREEMPTED", "failed"),
        ("REVOKED", "failed"),
        ("NODE_FAIL", "failed"),
    ],
)
def test_a_generic_job_that_ended_is_not_waited_for(tmp_path: Path, state: str, said: str) -> None:
    for name in ("squeue", "sacct"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{state}'\n")
        (tmp_path / name).chmod(0o755)
    script, path = PROJECT / "profiles/generic/status", f"{tmp_path}:{os.environ['PATH']}"
    found = subprocess.run(
        ["sh", script, "7"], capture_output=True, text=True, env={"PATH": path}, check=True
    )
    assert found.stdout.strip() == said


def test_the_page_is_made_when_the_replicates_are_there() -> None:
    """In one allocation with them, the node would plan it before."""
    assert "browse" not in settings("slurm")["groups"]
