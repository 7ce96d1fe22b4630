"""What an artifact belongs to: recorded in every kind of file, checked by every job, told by `fairgen
verify`.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from workflows import PROJECT, TINY, Workflow, copy_workflow, planned

from fairgen.core import job, lineage, parquet, records
from fairgen.core.contents import SAMPLE, SAMPLES, content
from fairgen.core.errors import FairgenError
from fairgen.evaluate import plots
from fairgen.models import adapters, classifier
from fairgen.workflow import stages

GIVEN = {"hash": "00ff", "code": "c0de", "inputs": {"index": ["0123", ""], "split": [""]}}
SPLIT = "results/birds/bias-0.999/split.parquet"
INDEX = "results/birds/index.parquet"


@pytest.fixture
def begun() -> Iterator[None]:
    """A job with a lineage; taken back afterwards."""
    lineage.begin(GIVEN, "toy", {"steps": 3})
    yield
    lineage.current = lineage.Lineage()


def write_all(folder: Path) -> dict[str, Path]:
    """A file of every kind, by the functions that stages use."""
    names = (
        "table.parquet images.parquet empty.safetensors lora.safetensors full.safetensors a.json a.md"
        " a.html a.png a.csv"
    )
    files = {name: folder / name for name in names.split()}
    parquet.write(files["table.parquet"], {"id": [1]}, {"counts": 1})
    parquet.write_images(
        files["images.parquet"], [(b"png", {"group": "a"})], {"group": pa.string()}, {"seed": 1}
    )
    adapters.write_empty(files["empty.safetensors"], {"images": 0})
    adapters.write_lora(files["lora.safetensors"], {"x": torch.ones(2)}, {"kind": "lora"}, {"unet": {"r": 1}})
    torch.manual_seed(0)
    network = torch.nn.Module()
    network.net = torch.nn.Linear(2, 2)
    classifier.save(files["full.safetensors"], network, {"gradient_steps": 1})
    files["a.csv"].write_text("figure\n1.5\n")
    digest = hashlib.sha256(files["a.csv"].read_bytes()).hexdigest()
    lineage.write_json(files["a.json"], {"figure": 1.5, records.BESIDE: digest})
    lineage.write_text(files["a.md"], "# page\n\n<!-- lineage 77 -->\nmore\n")
    lineage.write_text(files["a.html"], "<p>é</p>\n")
    plots.save(plt.figure(figsize=(1, 1)), files["a.png"])
    return files


def test_every_kind_of_artifact_records_its_lineage(tmp_path: Path, begun: None) -> None:
    files = write_all(tmp_path)
    assert {path.suffix for path in files.values()} == records.READERS.keys()
    for path in files.values():
        found = records.read(path)
        assert found["hash"] == "00ff", path
        if path.suffix in (".parquet", ".safetensors", ".json"):
            assert (found["stage"], found["code"], found["settings"]) == ("toy", "c0de", {"steps": 3}), path
            assert found["sources"] == "", path
    lineage.check_outputs(list(files.values()))
    assert parquet.facts(files["table.parquet"]) == {"counts": 1}
    assert adapters.read_facts(files["empty.safetensors"]) == {"images": 0}
    assert records.without(files["a.md"].read_text()) == "# page\n\n<!-- lineage 77 -->\nmore\n"


def test_the_same_content_has_the_same_bytes(tmp_path: Path, begun: None) -> None:
    written = [{name: path.read_bytes() for name, path in write_all(tmp_path).items()} for _ in range(5)]
    # safetensors orders the keys of its header by chance
    assert all(found == written[0] for found in written)


def test_without_a_lineage_nothing_is_recorded(tmp_path: Path) -> None:
    assert [records.read(path) for path in write_all(tmp_path).values()] == [None] * 10


def test_damaged_files_record_nothing(tmp_path: Path, begun: None) -> None:
    for path in write_all(tmp_path).values():
        whole = path.read_bytes()
        short = [whole[:-3], whole + b"x"] if path.suffix in (".safetensors", ".csv") else []
        for damaged in (*short, whole[:20], b"text of another program\n" * 9, b""):
            path.write_bytes(damaged)
            assert records.read(path) is None, path


def test_an_output_without_its_lineage_is_noticed(tmp_path: Path, begun: None) -> None:
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(RuntimeError, match=r"a\.json was written without its lineage"):
        lineage.check_outputs([tmp_path / "a.json"])


def test_an_input_of_another_lineage_is_refused_by_name_with_the_remedy(tmp_path: Path, begun: None) -> None:
    other, untracked = tmp_path / "index.parquet", tmp_path / "weights.safetensors"
    parquet.write(other, {"id": [1]})
    untracked.write_bytes(b"")
    with pytest.raises(FairgenError, match=rf"{other} is not of the present config .*; call snakemake again"):
        lineage.check_inputs({"index": [other, untracked]})
    lineage.begin({**GIVEN, "hash": "0123"}, "toy", {})
    parquet.write(other, {"id": [1]})
    lineage.begin(GIVEN, "toy", {})
    lineage.check_inputs({"index": [other, untracked], "split": [untracked]})


def test_inputs_of_two_states_of_a_data_set_are_refused(tmp_path: Path, begun: None) -> None:
    """A lineage knows of no file of the user's: what was read of them is recorded beside it."""
    made = {}
    for name, rows in (
        ("index", [[1, "a"]]),
        ("same", [[1, "a"]]),
        ("changed", [[1, "b"]]),
        ("other", [[2]]),
    ):
        lineage.begin({**GIVEN, "hash": "0123"}, "toy", {})
        lineage.of_data("more" if name == "other" else "birds", rows, rows)
        made[name] = tmp_path / f"{name}.parquet"
        parquet.write(made[name], {"id": [1]})
    lineage.begin({**GIVEN, "inputs": {"of": ["0123"] * 3}}, "toy", {})
    lineage.check_inputs({"of": [made["index"], made["same"], made["other"]]})
    assert records.data_of(lineage.current.record()).keys() == {"birds", "more"}
    for path in write_all(tmp_path).values():  # also as the hash alone
        assert records.data_of(records.read(path)) == records.data_of(lineage.current.record()), path
    lineage.begin({**GIVEN, "inputs": {"of": ["0123"] * 2}}, "toy", {})
    with pytest.raises(FairgenError, match=r"different states of the data set birds.* --forcerun index"):
        lineage.check_inputs({"of": [made["index"], made["changed"]]})


def test_an_artifact_records_all_that_it_comes_from(tmp_path: Path, begun: None) -> None:
    """Directly or not, each once, in every kind that has room: a reader needs no workflow to ask."""
    index, split = tmp_path / "index.parquet", tmp_path / "split.json"
    lineage.begin({**GIVEN, "hash": "0123"}, "toy", {})
    parquet.write(index, {"id": [1]})
    lineage.begin({**GIVEN, "hash": "4567", "inputs": {"index": ["0123"]}}, "toy", {})
    lineage.check_inputs({"index": [index]})
    lineage.write_json(split, {})
    assert records.read(split)["sources"] == "0123"
    lineage.begin({**GIVEN, "inputs": {"index": ["0123"], "split": ["4567"]}}, "toy", {})
    lineage.check_inputs({"index": [index], "split": [split], "model": [tmp_path / "of no rule.bin"]})
    for path in write_all(tmp_path).values():
        if path.suffix in (".parquet", ".safetensors", ".json"):
            assert records.read(path)["sources"] == "0123 4567", path


def test_artifacts_have_the_permissions_of_other_files(tmp_path: Path, begun: None) -> None:
    from fairgen.core.workfolder import place

    adapters.write_empty(tmp_path / "a", {"images": 0})
    place(tmp_path / "a", tmp_path / "b.safetensors")
    (tmp_path / "other").touch()
    assert (tmp_path / "b.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_stage_by_hand_needs_no_lineage(tmp_path: Path) -> None:
    assert job.listed(None) == []
    assert job.listed(tmp_path) == job.listed([tmp_path]) == [tmp_path]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A finished run up to the split."""
    workflow = copy_workflow(tmp_path_factory.mktemp("lineage"))
    workflow.edit(TINY)
    done = workflow.run(SPLIT)
    assert done.returncode == 0, done.stderr
    return workflow


@pytest.fixture
def edited(finished: Workflow, tmp_path: Path) -> Workflow:
    """A copy of that run, to be changed."""
    shutil.copytree(finished.folder, tmp_path / "copy", symlinks=True)
    return Workflow(tmp_path / "copy")


def verify(workflow: Workflow, target: str = SPLIT) -> subprocess.CompletedProcess:
    """Call `fairgen verify` there."""
    command = [sys.executable, "-m", "fairgen", "verify", target]
    return subprocess.run(
        command, cwd=workflow.folder, env=workflow.environment(), capture_output=True, text=True
    )


def test_verify_says_that_a_result_belongs(edited: Workflow) -> None:
    done = verify(edited)
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        done.stdout
        == f"{SPLIT} and all that it was made from (3 artifacts) belong to the present config and code, and"
        " to one state of the data. (Not looked at: the data's own files, and bytes of artifacts.)\n"
    )


def test_verify_knows_a_workflow_that_has_fairgen_as_a_module(finished: Workflow, tmp_path: Path) -> None:
    shutil.copytree(finished.folder / "results", tmp_path / "results")
    snakefile = """
from fairgen.workflow.project import snakefile

module fairgen:
    snakefile: snakefile()
    config: {}

use rule * from fairgen exclude all as fairgen_*
"""
    (tmp_path / "Snakefile").write_text(snakefile)
    done = verify(Workflow(tmp_path, finished.folder))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{SPLIT} and all that it was made from (3 artifacts) belong")
    # words after --config are the outer workflow's own, whatever they are called
    outer = Workflow(tmp_path, finished.folder)
    assert not planned(outer, "--config", "samples=x", "index={max_rejected: 0.2}", "--", target=SPLIT)
    (tmp_path / "Snakefile").write_text("rule one:\n    output: 'x'\n    shell: 'touch x'\n")
    assert "and has none as a module" in verify(Workflow(tmp_path, finished.folder)).stderr


def test_an_index_of_changed_files_leaves_behind_what_was_made_before(edited: Workflow) -> None:
    """Config and code are the same, so every lineage is; a run of the index alone may have ended there."""
    path = edited.folder / INDEX
    table = parquet.read(path)
    record = json.loads(table.schema.metadata[b"lineage"])
    assert (
        record["data"].startswith("birds=") and records.read(edited.folder / SPLIT)["data"] == record["data"]
    )
    record["data"] = "birds=0dd"
    metadata = {**table.schema.metadata, b"lineage": json.dumps(record).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), path)
    done = verify(edited)
    assert done.returncode == 1
    assert f"  split: other files of data set birds than {INDEX} has seen (1 artifact)\n" in done.stdout
    assert "not of the present config, code and data (1 artifact differs)" in done.stderr
    # whatever snakemake looks at
    assert planned(edited, "--rerun-triggers", "code", "--", target=SPLIT)["split"] == 1


def test_verify_names_the_setting_that_differs_and_where(edited: Workflow) -> None:
    edited.edit({"index": {"max_rejected": 0.2}})
    done = verify(edited)
    assert done.returncode == 1
    assert "  index: max_rejected: 0.05, now 0.2 (1 artifact)\n" in done.stdout
    assert f"Where:\n  {INDEX}\n  {SPLIT}\n" in done.stdout
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith(f"(2 artifacts differ); make it again: snakemake --cores all {SPLIT}\n")


def test_verify_names_changed_code_foreign_files_and_what_is_gone(edited: Workflow) -> None:
    path = edited.folder / "fairgen/data/split.py"
    path.write_text(path.read_text().replace("\n\n\n", "\n\nNEW = 1\n\n\n", 1))
    assert "  split: its code (1 artifact)\n" in verify(edited).stdout
    (edited.folder / INDEX).unlink()
    parquet.write(edited.folder / INDEX, {"id": [1]})
    assert "index: records no lineage" in verify(edited).stdout
    (edited.folder / SPLIT).unlink()
    assert (
        verify(edited).stderr
        == f"fairgen verify: {SPLIT} is not there; make it: snakemake --cores all {SPLIT}\n"
    )
    for no_artifact in ("results/birds/nothing", "results/logs/birds/index.log"):
        assert "no rule makes this by the present config" in verify(edited, no_artifact).stderr


@pytest.mark.parametrize("overlooked", ["mtime", "touch", "copied"])
def test_what_snakemake_overlooks_is_made_again(edited: Workflow, overlooked: str) -> None:
    """An edit that only times are looked at for, that `--touch` has covered, or of which a copied folder has
    no records.
    """
    edited.edit({"index": {"max_rejected": 0.2}})
    before, words = (edited.folder / SPLIT).read_bytes(), []
    if overlooked == "mtime":
        words = ["--rerun-triggers", "mtime", "--"]
    elif overlooked == "touch":
        assert edited.run("--touch", SPLIT).returncode == 0
    else:
        shutil.rmtree(edited.folder / ".snakemake")
    done = edited.run(*words, SPLIT)
    assert done.returncode == 0, done.stderr
    assert "made again (of another config or code, or damaged): results/birds/" in done.stderr
    assert verify(edited).returncode == 0
    assert parquet.read(edited.folder / SPLIT).num_rows > 0
    assert (edited.folder / SPLIT).read_bytes() != before  # its lineage is another one


def test_a_forced_rerun_that_fails_is_made_again(edited: Workflow) -> None:
    """The fault: snakemake removes the index, the split stays, and the next call finds nothing to do."""
    from edited import FAILING

    expected = {name: (edited.folder / name).read_bytes() for name in (SPLIT, INDEX)}
    (edited.folder / "sitecustomize.py").write_text(FAILING)
    command = [sys.executable, "-m", "snakemake", "--cores=1", "--forcerun", "index", "--", SPLIT]
    env = edited.environment() | {"FAIL": "fairgen.data.index"}
    assert subprocess.run(command, cwd=edited.folder, env=env, capture_output=True).returncode != 0
    assert not (edited.folder / INDEX).exists()
    assert (edited.folder / SPLIT).exists()
    done = edited.run(SPLIT)
    assert done.returncode == 0
    assert f"made again (the last attempt failed or was cut short): {INDEX}" in done.stderr
    assert {name: (edited.folder / name).read_bytes() for name in expected} == expected
    assert "Nothing to be done" in edited.run("--dry-run", SPLIT).stdout


def test_a_check_that_fails_once_fails_again(edited: Workflow) -> None:
    """The fault: the index fails on a misspelt value, is gone, and the check page of before passes for the
    present one.
    """
    page = "results/birds/check.md"
    assert edited.run(page).returncode == 0
    edited.edit({"datasets": {"birds": {"groups": {"landbird-land": {"bias": "lnad"}}}}})
    for _ in range(2):
        done = edited.run(page)
        assert done.returncode != 0
        assert (
            "group landbird-land is empty" in done.stderr.splitlines()[-2] + done.stderr.splitlines()[-1]
        ), done.stderr


def test_an_intermediate_file_that_a_user_deletes_is_not_missed(edited: Workflow) -> None:
    (edited.folder / INDEX).unlink()
    assert "Nothing to be done" in edited.run("--dry-run", SPLIT).stdout


def test_every_rule_passes_its_stage_and_lineage(edited: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    from fairgen.commands.verify import lineages

    monkeypatch.chdir(edited.folder)
    monkeypatch.setattr(sys, "argv", sys.argv)  # it is set there
    known = lineages([])
    shells = {rule.name: rule.shellcmd for rule in known.workflow.rules if rule.shellcmd}
    assert {name for name in shells} == known.stages.keys() == {rule.name for rule in known.stages.values()}
    for name, shell in shells.items():
        assert f"python -m {stages.module(name)} " in shell
        assert "--lineage {params.lineage:q}" in shell


def test_a_lineage_follows_wildcards_settings_code_and_sources(
    edited: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fairgen.commands.verify import lineages

    monkeypatch.chdir(edited.folder)
    monkeypatch.setattr(sys, "argv", sys.argv)  # it is set there
    files = [
        *("results/birds/drawings.parquet", INDEX, SPLIT, "results/birds/embeddings.parquet"),
        *(f"results/birds/bias-0.999/{m}/seed-{s}/metrics.json" for m in ("erm", "lora") for s in (0, 1)),
        *("results/birds/worst_group.json", "results/birds/any/vanilla/scores.parquet"),
    ]

    def hashes(change: dict | None = None) -> dict[str, str]:
        if change:
            edited.edit(change)
        known = lineages([])
        return {path: known.of(path).hash for path in files}

    first = hashes()
    assert len(set(first.values())) == len(files)
    assert hashes() == first
    assert hashes({"datasets": {"birds": {"gpu": 1}}}) == first
    other = hashes({"split": {"seed": 5}})
    changed = {path for path in files if other[path] != first[path]}
    assert changed == {
        SPLIT,
        "results/birds/worst_group.json",
        *(path for path in files if path.endswith("metrics.json")),
    }
    third = hashes({"datasets": {"birds": {"settings": {"finetune": {"erm": {"steps": 9}}}}}})
    changed = {path for path in files if third[path] != other[path]}
    assert changed == {path for path in files if "/erm/" in path} | {"results/birds/worst_group.json"}


def test_samples_behind_a_selection_are_checked(tmp_path: Path, begun: None) -> None:
    from fairgen.generate import selection

    samples, file = tmp_path / "samples.parquet", tmp_path / "selection.parquet"
    parquet.write(samples, {"id": [1]})
    rows = {"group": ["a"], "file": [str(samples)], "kept": [True]}
    parquet.write(file, rows, {"samples": {str(samples): "00ff"}})
    assert selection.read(file)["a"].rows == [0]
    parquet.write(file, rows, {"samples": {str(samples): "another"}})
    with pytest.raises(FairgenError, match=r"samples\.parquet is not of the present config"):
        selection.read(file)


def test_other_weights_are_another_lineage_whatever_their_time(tmp_path: Path) -> None:
    def of(name: str, size: int, changed: int = 0) -> str:
        values = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
        values[:: max(1, size // 4096)] += np.uint8(changed)
        (tmp_path / name).write_bytes(values.tobytes())
        return content(str(tmp_path / name))

    for size in (10, SAMPLES * SAMPLE, 3 * SAMPLES * SAMPLE):
        assert of(f"a{size}", size) == of(f"b{size}", size) != of(f"c{size}", size, changed=1)
    assert of("short", 9) != of("long", 10)
    assert content(str(tmp_path / "nothing")) == ""


def test_weights_that_change_under_a_planned_job_are_refused(tmp_path: Path, begun: None) -> None:
    """What it made would stand under the lineage of the weights that the workflow has seen."""
    file, gone = tmp_path / "weights.safetensors", tmp_path / "gone"
    file.write_bytes(b"1")
    lineage.begin({**GIVEN, "watched": [content(str(file)), "0f"]}, "toy", {})
    lineage.check_watched([file, gone])
    file.write_bytes(b"2")
    with pytest.raises(FairgenError, match=r"weights\.safetensors has changed after snakemake had planned"):
        lineage.check_watched([file, gone])
    with pytest.raises(ValueError, match="argument 2"):  # not all that the lineage has seen
        lineage.check_watched([gone])
    lineage.begin({**GIVEN, "watched": ["", "0f"]}, "toy", {})
    lineage.check_watched([file, gone])  # what a job makes, or what was not there yet


def test_rules_watch_all_that_no_rule_makes() -> None:
    """Weights, layouts and the page's own files: every input by such a function stands after `--watched`."""
    given = re.compile(r"^ +(\w+)=(?:paths\.(?:weights\(|layout|backbone)|looking\.assets)", re.M)
    found = 0
    for file in (PROJECT / "rules").glob("*.smk"):
        for rule in file.read_text().split("\nrule ")[1:]:
            own = set(given.findall(rule))
            assert set(re.findall(r"\{input\.(\w+):q\}", rule.partition("--watched")[2])) == own, rule[:20]
            found += bool(own)
    assert found == 11


def test_model_files_that_change_places_are_another_lineage(tmp_path: Path) -> None:
    """And the same ones in another folder are not."""
    from fairgen.workflow.ancestry import contents

    def of(folder: str, **files: str) -> list:
        paths = [tmp_path / folder / f"{name}.bin" for name in files]
        for path, text in zip(paths, files.values(), strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return contents(list(map(str, paths)))

    assert of("one", a="x", b="y") == of("two/deep", a="x", b="y") == of("three", b="y", a="x")
    assert of("one", a="x", b="y") != of("four", a="y", b="x")
    assert of("five", a="x") == of("six", other="x")  # a single file may have any name


def test_verify_judges_a_csv_by_the_json_beside_it(edited: Workflow) -> None:
    table = edited.folder / "results/birds/worst_group"
    lineage.begin({"hash": "77", "code": "1", "inputs": {}}, "worst_group", {})
    lineage.write_json(table.with_suffix(".json"), {})
    lineage.current = lineage.Lineage()
    table.with_suffix(".csv").write_text("ratio\n")
    done = verify(edited, "results/birds/worst_group.csv")
    assert done.returncode == 1
    assert "results/birds/worst_group.csv" in done.stdout


def test_verify_names_what_it_cannot_read(edited: Workflow) -> None:
    command = [sys.executable, "-m", "fairgen", "verify", SPLIT, "--configfile", "nothing.yaml"]
    done = subprocess.run(
        command, cwd=edited.folder, env=edited.environment(), capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (
        1,
        "fairgen verify: nothing.yaml: no such config file; check the path\n",
    )
    shutil.rmtree(edited.folder / "rules")
    done = verify(edited)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("fairgen verify: Snakefile cannot be read (")
    assert "Traceback" not in done.stderr


def test_sources_are_those_of_the_sources_too(tmp_path: Path, begun: None) -> None:
    """A third artifact that is given the second alone comes of the first as well."""
    index, split = tmp_path / "index.json", tmp_path / "split.json"
    lineage.begin({**GIVEN, "hash": "0123"}, "toy", {})
    lineage.write_json(index, {})
    lineage.begin({**GIVEN, "hash": "4567", "inputs": {"index": ["0123"]}}, "toy", {})
    lineage.check_inputs({"index": [index]})
    lineage.write_json(split, {})
    lineage.begin({**GIVEN, "inputs": {"split": ["4567"]}}, "toy", {})
    lineage.check_inputs({"split": [split]})
    assert lineage.current.sources == "0123 4567"


def test_a_document_has_finite_numbers_and_every_file_is_checked(tmp_path: Path, begun: None) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        lineage.write_json(tmp_path / "a.json", {"figure": float("nan")})
    for name in "ab":
        lineage.write_json(tmp_path / f"{name}.json", {})
    with pytest.raises(FairgenError, match=r"b\.json is not of the present"):
        lineage.check_files({str(tmp_path / "a.json"): "00ff", str(tmp_path / "b.json"): "0123"})
