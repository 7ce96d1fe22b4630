"""The workflow from outside: errors before any job, sharing, incremental reruns, and the whole chain in
small.
"""

import base64
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import nbclient
import nbformat
import numpy as np
import pytest
import yaml
from browser import driven, needs_browser, shown
from PIL import Image
from workflows import Workflow, copy_workflow, planned

import fairgen
from fairgen.core import parquet
from fairgen.models import adapters

TARGET = "results/birds/worst_group.json"
SMALL = {
    "ratios": [0.999],
    "seeds": [0, 1],
    "compare": ["erm", "vanilla", "clustered"],  # lora is that of the tiny run in test_disturbed_runs.py
    "datasets": {
        "birds": {
            "options": {"train": 80, "validation": 20, "test": 30, "shift": 4},
            "settings": {
                "prior": {"count": 8, "solver": {"steps": 3}},
                "adapt": {"borrow_below": 5, "full": {"steps": 3}},
                "sample": {"per_group": 24, "solver": {"steps": 5}},
                "filter": {"quota": 6, "allow_shortfall": True, "threshold": 0.02},
                "pretrain": {"steps": 6},
                "finetune": {kind: {"steps": 6} for kind in ("erm", "reweight", "resample", "augment")}
                | {
                    "head": {"steps": 5},
                    "ffr": {"steps": 5},
                    "groupdro": {"steps": 8},
                    "dfr": {"refits": 3, "c": [1]},
                }
                | {"jtt": {"identify_steps": 3, "steps": 3}, "george": {"identify_steps": 3, "steps": 3}},
            },
        }
    },
}


def birds(**blocks: dict) -> dict:
    """An edit of the data set's own settings."""
    return {"datasets": {"birds": {"settings": blocks}}}


@pytest.mark.parametrize(
    ("change", "target", "named"),
    [
        ({"filter": {"treshold": 0.5}}, TARGET, "treshold"),
        ({"pretrain": {"lr": "1e-4"}}, TARGET, "pretrain.lr"),
        ({"compare": ["erm", "nosuch"]}, TARGET, "unknown method 'nosuch'"),
        ({"ratios": [1.0]}, TARGET, "ratios"),
        (
            {"methods": {"dfr": {"finetune": {"start": "emr"}}}},
            TARGET,
            "methods.dfr.finetune.start: unknown method 'emr'",
        ),
        (
            {"compare": ["clustered-groupdro"], **birds(pretrain={"steps": 350})},
            TARGET,
            "finetune.groupdro.steps",
        ),
        ({}, "results/birdz/worst_group.json", "unknown data set 'birdz'; did you mean birds?"),
        ({}, "results/utkface/worst_group.json", "datasets.utkface.root"),
        (
            birds(classifier={"pretrained": "no.safetensors"}),
            TARGET,
            "classifier.pretrained: no file no.safetensors",
        ),
        ({}, "results/birds/replicates.json", "data set birds has no replicates"),
        (
            birds(filter={"quota": 999}, score={"model": "/nowhere"}),
            TARGET,
            "config: score.model: there is no folder /nowhere",
        ),
        (
            {},
            "results/birds/ablations/loss.json",
            "unknown ablation 'loss'; list methods under ablations in the config",
        ),
        (
            {"ablations": {"x": ["erm", "nosuch"]}},
            "results/birds/ablations/x.json",
            "ablations.x: unknown method 'nosuch'",
        ),
    ],
)
def test_mistakes_end_in_one_line_before_any_job(
    workflow: Workflow, change: dict, target: str, named: str
) -> None:
    workflow.edit(change)
    done = workflow.run(target)
    assert done.returncode != 0
    lines = [
        line for line in done.stderr.splitlines() if not line.startswith("Using workflow specific profile")
    ]
    assert all(line.startswith("fairgen: ") for line in lines), done.stderr
    assert len([line for line in lines if named in line]) == 1, done.stderr
    assert not (workflow.folder / "results").exists()


def test_ratios_share_what_does_not_depend_on_them(workflow: Workflow) -> None:
    one = planned(workflow)
    workflow.edit({"ratios": [0.9, 0.99]})
    two = planned(workflow)
    assert two["finetune"] == 2 * one["finetune"]
    assert two["embed"] == one["embed"] == 1
    assert two["prior"] == one["prior"] == 4
    # vanilla's four are shared, and two of each of three generators, which are of aligned groups
    assert two["sample"] == 2 * one["sample"] - 4 - 3 * 2
    assert (one["adapt"], two["adapt"]) == (16, 24)
    assert (one["split"], two["split"]) == (2, 3)
    assert two["pretrain"] == 2 * one["pretrain"] - 3


def test_replicates_run_the_whole_chain_with_seeds_of_their_own(workflow: Workflow) -> None:
    study = yaml.safe_load((workflow.folder / "examples/birds-study.yaml").read_text())
    workflow.edit({**study, "compare": ["erm"]})
    plan = planned(workflow, target="results/birds/replicates.json")
    assert {name: plan[name] for name in ("draw", "split", "finetune", "worst_group", "replicates")} == {
        **{"draw": 5, "split": 5 * 4, "finetune": 5 * 4 * 5},
        **{"worst_group": 5, "replicates": 1},
    }


def test_the_audit_runs_once_per_synthetic_set_and_only_when_asked_for(workflow: Workflow) -> None:
    workflow.edit(
        {"ratios": [0.9, 0.99], "compare": ["erm", "vanilla", "ffr", "lora", "clustered", "clustered-dfr"]}
    )
    assert not {"audit", "audit_synthetic"} & planned(workflow).keys()
    plan = planned(workflow, target="results/birds/audit_synthetic.json")
    # vanilla's set is one for both ratios
    assert (plan["audit"], plan["filter"], plan["audit_synthetic"]) == (5, 5, 1)
    assert not {"pretrain", "finetune", "worst_group"} & plan.keys()


def jobs(workflow: Workflow, *methods: str) -> dict[str, int]:
    """Jobs of the generator and classifier rules that a comparison of some methods plans, with one seed."""
    workflow.edit({"compare": list(methods), "seeds": [0]})
    plan = planned(workflow)
    return {
        rule: plan[rule] for rule in ("adapt", "sample", "filter", "pretrain", "finetune") if rule in plan
    }


def test_generator_and_recipe_are_independent(workflow: Workflow) -> None:
    """A cross shares its generator and stage 1; a mixture asks for the images alone, a refit for the finished
    model.
    """
    clustered = jobs(workflow, "clustered")
    assert jobs(workflow, "clustered", "clustered-groupdro", "clustered-dfr") == clustered | {"finetune": 3}
    assert jobs(workflow, "erm", "reweight", "resample", "groupdro", "jtt", "george") == {"finetune": 6}
    assert jobs(workflow, "erm", "dfr") == jobs(workflow, "dfr") == {"finetune": 2}
    assert jobs(workflow, "augment") == {"sample": 4, "filter": 1, "finetune": 1}
    assert jobs(workflow, "vanilla", "ffr", "augment") == {
        "sample": 4,
        "filter": 1,
        "pretrain": 1,
        "finetune": 3,
    }
    workflow.edit({"methods": {"clustered-augment": {"base": "clustered", "finetune": {"kind": "augment"}}}})
    assert jobs(workflow, "clustered-augment") == {k: v for k, v in clustered.items() if k != "pretrain"}


def test_the_study_plans_every_method(workflow: Workflow, config: dict) -> None:
    study = yaml.safe_load((workflow.folder / "examples/birds-study.yaml").read_text())
    assert set(study["compare"]) == {*config["methods"], *study["methods"]}  # the ceilings too
    workflow.edit(study)
    plan = planned(workflow)
    assert plan["finetune"] == len(study["compare"]) * len(study["ratios"]) * len(study["seeds"])


ABLATIONS = {
    "clusters": {"cluster": 8, "adapt": 4 * 15, "sample": 16, "filter": 4, "pretrain": 20, "finetune": 20},
    "filter": {"cluster": 2, "adapt": 8, "sample": 4, "filter": 4, "pretrain": 20, "finetune": 20},
    "loss": {"cluster": 2, "adapt": 8, "sample": 4, "filter": 1, "pretrain": 30, "finetune": 30},
    "amount": {"cluster": 2, "adapt": 8, "sample": 8, "filter": 4, "pretrain": 20, "finetune": 20},
    "weighting": {"cluster": 2, "adapt": 8, "sample": 4, "filter": 2, "pretrain": 15, "finetune": 15},
    "order": {"cluster": 2, "adapt": 8, "sample": 4, "filter": 1, "pretrain": 5, "finetune": 20},
    "balance": {"cluster": 2, "adapt": 8, "sample": 4, "filter": 3, "pretrain": 15, "finetune": 20},
    "extra-data": {
        "draw": 2,
        "index": 2,
        "adapt": 8,
        "sample": 8,
        "filter": 2,
        "pretrain": 15,
        "finetune": 35,
    },
    "labels": {"cluster": 2, "adapt": 8, "sample": 4, "filter": 1, "pretrain": 5, "finetune": 35},
}


def test_ablations_share_all_but_what_they_change(workflow: Workflow) -> None:
    """Jobs of each ablation alone (k clusters make 4k adapters), and of all: the common ones are planned
    once.
    """
    words = ["--configfile", "examples/birds-ablations.yaml", "--"]
    targets = [f"results/birds/ablations/{name}.json" for name in ABLATIONS]
    for target, expected in zip(targets, ABLATIONS.values(), strict=True):
        plan = planned(workflow, *words, target=target)
        assert {rule: plan[rule] for rule in expected} == expected, target
        assert plan["ablation"] == plan["embed"] == 1
        assert "worst_group" not in plan
    together = planned(workflow, *words, *targets[1:], target=targets[0])
    assert (together["adapt"], together["sample"], together["ablation"]) == (4 * 15, 24, 9)
    assert together["finetune"] == 5 * (4 + 3 + 5 + 3 + 2 + 3 + 1 + 5 + 4)


def test_parsing_imports_no_torch_and_is_quick(workflow: Workflow) -> None:
    with (workflow.folder / "Snakefile").open("a") as file:
        file.write("\nprint('torch loaded:', 'torch' in sys.modules, file=sys.stderr)\n")
    assert "torch loaded: False" in workflow.run("--list-rules").stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The small birds run, complete."""
    workflow = copy_workflow(tmp_path_factory.mktemp("birds"))
    workflow.warm = True
    workflow.edit(SMALL)
    done = workflow.run(TARGET, "results/birds/figures/worst_group.png", "results/birds/pages/result.html")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (workflow.folder / "terminal.txt").write_text(done.stdout + done.stderr)
    return workflow


@pytest.mark.slow
def test_the_result_has_its_published_shape(finished: Workflow) -> None:
    document = json.loads((finished.folder / TARGET).read_text())
    assert document["schema_version"] == 3
    assert document["versions"]["torch"][0].isdigit()
    assert re.fullmatch(r"[0-9a-f]{64}", document["config_sha256"])
    methods = document["results"]["0.999"]
    assert list(methods) == SMALL["compare"]
    for entry in methods.values():
        for figure in ("worst_group_accuracy", "average_accuracy", "balanced_accuracy"):
            assert set(entry[figure]) == {"mean", "sd", "ci95", "per_seed"}
            assert len(entry[figure]["per_seed"]) == 2
        assert len(entry["groups"]) == 4
        assert all(g["n"] == 30 and 0 <= g["accuracy"]["mean"] <= 1 for g in entry["groups"].values())
    csv = (finished.folder / "results/birds/worst_group.csv").read_text().splitlines()
    assert len(csv) == 1 + len(methods)
    assert "worst group" in (finished.folder / "terminal.txt").read_text()


@pytest.mark.slow
def test_python_reads_what_a_run_has_made(finished: Workflow) -> None:
    """Every file that is handed out is one that the result says it was made from."""
    found = fairgen.open(finished.folder / "results/birds")
    assert (found.methods, found.drawing) == (tuple(SMALL["compare"]), ("vanilla", "clustered"))
    for method in found.methods:
        worst = found.result.figure(method)
        predicted = found.predictions(method).query("split == 'test'")
        right = predicted["predicted"] == predicted["target"]
        assert list(right.groupby([predicted["seed"], predicted["group"]]).mean().groupby("seed").min()) == (
            pytest.approx(list(worst.per_seed))
        )
    for method in found.drawing:
        kept = found.selection(method).images("waterbird-water")
        assert kept and {image.image.size for image in kept} == {(32, 32)}
    adapters = found.adapters("clustered")
    assert {adapter.group for adapter in adapters} == set(found.groups)
    assert {adapter.steps for adapter in adapters if adapter.images} == {3}
    assert len(found.split()) and len(found.index) and found.audit()["dataset"] == "birds"


@pytest.mark.slow
def test_the_notebook_runs_on_these_results(finished: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands, from its own folder, and shows pictures; it is kept without outputs."""
    notebook = nbformat.read(finished.folder / "examples/read-results.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    monkeypatch.setenv("PYTHONPATH", str(finished.folder))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(finished.folder / ".jupyter"))
    folder = {"metadata": {"path": str(finished.folder / "examples")}}
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=folder).execute()
    shown = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in data for data in shown) >= 3  # the main figure, kept images, rejected ones
    tables = "".join(data.get("text/html", "") for data in shown)
    assert all(method in tables for method in SMALL["compare"])


@pytest.mark.slow
def test_groups_without_images_borrow_their_donors_generators(finished: Workflow) -> None:
    place = finished.folder / "results/birds"
    folder, shared = (place / scope / "clustered" for scope in ("bias-0.999", "any"))
    facts = adapters.read_facts(folder / "adapters/landbird-water/0.safetensors")
    assert facts["reason"].startswith("borrows from landbird-land")
    drawn = folder / "samples/landbird-water.parquet"
    assert parquet.facts(drawn)["companions"] == ["waterbird-water"]  # of landbird-land's generators
    rows = parquet.rows(drawn, ["prompt", "borrowed_from", "borrowed_guidance", "adapter", "cluster"])
    assert len(rows) == 24
    for row in rows:
        assert row["prompt"] == "a V landbird on water"
        assert (row["borrowed_from"], row["borrowed_guidance"]) == ("landbird-land", 1)
        assert "/any/clustered/adapters/landbird-land/" in row["adapter"]
    columns = ["prompt", "borrowed_from", "borrowed_guidance", "adapter_hash", "cluster"]
    own = parquet.rows(shared / "samples/landbird-land.parquet", columns)
    assert {tuple(r[name] for name in columns[:3]) for r in own} == {("a V landbird on land", "", 0)}
    assert len({r["adapter_hash"] for r in own}) == len({r["cluster"] for r in own}) > 1


@pytest.mark.slow
def test_vanilla_is_drawn_without_adapters_or_token(finished: Workflow) -> None:
    rows = parquet.rows(
        finished.folder / "results/birds/any/vanilla/samples/waterbird-land.parquet", ["prompt", "adapter"]
    )
    assert {(r["prompt"], r["adapter"]) for r in rows} == {("a waterbird on land", "")}


@pytest.mark.slow
def test_figures_are_pictures(finished: Workflow) -> None:
    for name in ("worst_group", "ratios", "groups", "samples", "acceptance", "clusters"):
        with Image.open(finished.folder / f"results/birds/figures/{name}.png") as picture:
            assert min(picture.size) > 100
            assert np.asarray(picture.convert("L")).std() > 5


@pytest.mark.slow
@needs_browser
def test_the_report_is_one_page_with_table_and_figures(finished: Workflow) -> None:
    targets = ["figures/worst_group.png", "pages/result.html", "pages/audit_synthetic.html", "report.html"]
    words = [f"results/birds/{target}" for target in targets]
    for done in (finished.run(*words), finished.run("--report", "report.html", *words)):
        assert done.returncode == 0, done.stderr[-2000:]
    text = (finished.folder / "report.html").read_text()
    packed = [base64.b64decode(data) for data in re.findall(r"name=[^;]+;base64,([A-Za-z0-9+/=]+)", text)]
    for name in ("worst_group", "ratios", "groups", "acceptance"):
        picture = (finished.folder / f"results/birds/figures/{name}.png").read_bytes()
        assert picture in packed, f"{name}.png is not in the report"
    for name in ("cover", "result", "audit", "clusters", "samples", "audit_synthetic"):
        assert (finished.folder / f"results/birds/pages/{name}.html").read_bytes() in packed
    assert (finished.folder / "results/birds/report.html").read_bytes() in packed
    page = shown(finished.folder / "report.html")
    menu = re.findall(r"<span>(\d [^<]+)</span>", page)
    assert menu == ["1 Result", "2 Data", "3 Clusters", "4 Generated images", "5 Audit of the images"]
    opened = page.split('<div class="prose', 1)[1]  # what it opens with: the cover, and what stands where
    assert "<h1>birds: what was compared, and what came out</h1>" in opened
    assert (
        "3 methods (erm, vanilla, clustered)" in opened
        and "takes at least 3 seeds, and there are 2." in opened
    )
    figure = (finished.folder / "results/birds/figures/worst_group.png").read_bytes()
    assert f'src="data:image/png;base64,{base64.b64encode(figure).decode()}"' in opened
    assert all(f">{category}</a>" in opened for category in menu) and "6 Ablations" not in opened
    assert "align-items: safe center" in opened  # else the cover's title is above the window, out of reach
    assert '"rule": "pretrain", "runtime":' in text  # the page Statistics
    table = shown(finished.folder / "results/birds/pages/result.html")
    assert all(f"<td>{method}</td>" in table for method in SMALL["compare"])
    drawn = shown(finished.folder / "results/birds/pages/audit_synthetic.html")
    assert drawn.count("<tr>") == 1 + 2 * 4 and "<td>vanilla</td>" in drawn


@pytest.mark.slow
@needs_browser
def test_the_page_shows_what_the_run_has_made(finished: Workflow, tmp_path: Path) -> None:
    """After the test before, which makes it."""
    folder = finished.folder / "results/birds"
    assert finished.run("results/birds/report.html").returncode == 0
    with driven(tmp_path) as tab:
        tab.open(folder / "report.html")
        assert tab.said == []
        shots = tab.ask("JSON.parse(document.getElementById('facts').textContent).shots")
        assert {shot["method"] for shot in shots} == {"vanilla", "clustered"}
        at = next(
            n for n, shot in enumerate(shots) if shot["method"] == "clustered" and shot["borrowed_from"]
        )
        tab.click(f".tile[data-shot='{at}']")
        words = tab.ask("document.getElementById('look-facts').textContent")
        close = {row["id"]: row for row in parquet.rows(folder / "bias-0.999/clustered/nearest.parquet")}
        assert shots[at]["borrowed_from"] in words and close[shots[at]["id"]]["real"] in words
        costs = tab.ask("[...document.querySelectorAll('#costs tbody th')].map(cell => cell.textContent)")
    assert {"adapt", "sample", "finetune", "audit", "clustered", "shared by all"} <= set(costs)


@pytest.mark.slow
def test_a_second_call_has_nothing_to_do(finished: Workflow) -> None:
    assert planned(finished) == {}


MATRIX = [  # after real jobs; test_reruns.py has the whole matrix, on stand-ins
    (birds(filter={"threshold": 0.03}), {"filter": 2, "pretrain": 4, "finetune": 4, "metrics": 4}
     | {"worst_group": 1}),
    ({"seeds": [0]}, {"worst_group": 1}),
    ({"datasets": {"birds": {"gpu": 1}}}, {}),
    (birds(split={"validation_floor": 11}), {"split": 1, "cluster": 1, "adapt": 4, "sample": 2, "score": 1}
     | {"filter": 1, "pretrain": 2, "finetune": 6, "metrics": 6, "worst_group": 1}),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("change", "expected"), MATRIX, ids=lambda value: None)
def test_an_edit_reruns_exactly_what_uses_it(finished: Workflow, change: dict, expected: dict) -> None:
    path = finished.folder / "config.yaml"
    before = path.read_text()
    finished.edit(change)
    try:
        assert planned(finished) == expected
    finally:
        path.write_text(before)


@pytest.mark.slow
def test_group_dro_runs_and_refuses_an_empty_group(finished: Workflow) -> None:
    cell = "results/birds/{}/groupdro/seed-0/metrics.json"
    assert finished.run(cell.format("bias-0.9")).returncode == 0
    metrics = json.loads((finished.folder / cell.format("bias-0.9")).read_text())
    assert 0 <= metrics["worst_group_accuracy"] <= metrics["balanced_accuracy"] <= 1
    done = finished.run(cell.format("bias-0.999"))
    assert done.returncode != 0
    assert "groupdro: group landbird-water has no training image" in done.stderr


@pytest.mark.slow
def test_every_recipe_runs_and_says_what_it_used(finished: Workflow) -> None:
    """Steps in all, what group labels were used for, validation rows: all 20 of each group, fewer than the
    floor of birds.
    """
    expected = {
        "jtt": (6, []),
        "george": (6, []),
        "reweight": (6, ["selection", "training"]),
        "resample": (6, ["selection", "training"]),
        "dfr": (6, ["selection", "training"]),
        "ffr": (11, ["generation", "selection"]),
        "augment": (6, ["generation", "selection", "training"]),
        "vanilla-groupdro": (8, ["generation", "selection", "training"]),
    }
    path = finished.folder / "config.yaml"
    before = path.read_text()
    finished.edit({"methods": {"vanilla-groupdro": {"base": "vanilla", "finetune": {"kind": "groupdro"}}}})
    cell = "results/birds/bias-0.9/{}/seed-0/metrics.json"
    try:
        done = finished.run(*(cell.format(name) for name in expected))
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        for name, (steps, labels) in expected.items():
            metrics = json.loads((finished.folder / cell.format(name)).read_text())
            found = (
                metrics["gradient_steps"],
                metrics["group_labels"],
                metrics["validation_rows"],
                metrics["start"],
            )
            assert found == (steps, labels, 80, "erm" if name == "dfr" else None), name
    finally:
        path.write_text(before)


@pytest.mark.slow
def test_an_over_strict_threshold_says_what_to_do(finished: Workflow) -> None:
    selection = "results/birds/bias-0.999/clustered/selection.parquet"
    before = (finished.folder / "config.yaml").read_text()
    finished.edit(birds(filter={"by": "cosine", "threshold": 0.99}))
    try:
        done = finished.run(selection)
        assert done.returncode != 0
        lines = [line for line in done.stderr.splitlines() if line.startswith("fairgen filter: ")]
        assert len(lines) == 1
        assert "filter.threshold = 0.99" in lines[0]
    finally:
        (finished.folder / "config.yaml").write_text(before)


def test_parse_time_is_reported(workflow: Workflow, record_property: object) -> None:
    """No limit is asserted, machines differ; the figure stands in the report."""
    started = time.monotonic()
    assert workflow.run("--list-rules").returncode == 0
    record_property("list_rules_seconds", round(time.monotonic() - started, 2))


def test_check_shows_data_and_plan_before_anything_is_trained(workflow: Workflow) -> None:
    """The subcommand runs the workflow as far as the splits, and prints the page."""
    workflow.warm = True
    workflow.edit({"ratios": ["natural", 0.999], "datasets": SMALL["datasets"]})
    env = workflow.environment()
    command = [sys.executable, "-m", "fairgen", "check", "birds", "--cores", "1"]
    done = subprocess.run(command, cwd=workflow.folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (workflow.folder / "results/birds/check.md").read_text()
    assert "# Audit of birds" in page
    assert "| natural | landbird-water | 80 | 20 | 30 | 2 generators" in page
    row = next(line for line in done.stdout.splitlines() if line.startswith("0.999    landbird-water"))
    assert "borrows from landbird-land" in row
    assert len(done.stdout.splitlines()) <= 40
    assert "results/birds/check.md" in done.stdout.splitlines()[-2]
    assert done.stdout.endswith("snakemake --cores 1 -- results/birds/report.html\n")
    assert not (workflow.folder / "results/birds/embeddings.parquet").exists()
    command[4] = "birdz"
    done = subprocess.run(command, cwd=workflow.folder, env=env, capture_output=True, text=True)
    assert done.returncode == 1
    assert "unknown data set 'birdz'" in done.stderr
