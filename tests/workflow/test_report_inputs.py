"""What the page `report.html` is made from, and that no replicate is run for its sake."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from workflows import Wildcards, Workflow, planned

from fairgen.core import lineage
from fairgen.workflow.artifacts import Paths
from fairgen.workflow.report_inputs import ASSETS, ReportInputs

MORE = {
    "smaller": {"base": "clustered", "filter": {"quota": 5}},  # another selection of the same images
    "clustered-jtt": {"base": "clustered", "finetune": {"kind": "jtt"}},  # on the same selection
}
REPLICATES = {
    "compare": ["erm", "lora"],
    "datasets": {
        f"birds-r{i}": {"like": "birds", "root": f"results/birds-r{i}", "options": {"seed": i}}
        for i in (1, 2)
    },
    "replicates": {"birds": ["birds", "birds-r1", "birds-r2"]},
}


NAMED = ("present", "other", "behind", "changed", "bare", "absent", "asked")


def inputs(config: dict, *targets: str, **hashes: str) -> ReportInputs:
    """Input functions of a config; artifacts would have the lineage `hashes` says, by their data set."""

    def of(path: str) -> SimpleNamespace:
        table = path.replace("replicates", "worst_group")
        tables = {"tables": [table]} if table != path else {}
        return SimpleNamespace(hash=hashes[path.split("/")[1]], inputs=tables)

    known = SimpleNamespace(of=of)
    return ReportInputs(Paths(config), known, targets)


def test_each_selection_comes_with_its_samples_clusters_and_closest_images(config: dict) -> None:
    compare = ["erm", "vanilla", "clustered", "smaller", "clustered-jtt"]
    config = {**config, "methods": {**config["methods"], **MORE}, "compare": compare, "ratios": [0.9, 0.99]}
    found, w = inputs(config), Wildcards(dataset="birds")
    cell = "results/birds/bias-0.9"
    places = ["results/birds/any/vanilla", f"{cell}/clustered", f"{cell}/smaller"]
    assert Paths(config).selections(w) == [f"{place}/selection.parquet" for place in places]
    assert found.nearest(w) == [f"{place}/nearest.parquet" for place in places]
    assert found.clusters(w) == [f"{cell}/clustered/clusters.parquet"] * 2
    samples = found.samples(w)
    assert len(samples) == 3 * 4 and samples[4:8] == samples[8:]  # those of `smaller` are its base's
    assert found.clusters(w) and inputs({**config, "compare": ["erm", "vanilla"]}).clusters(w) == []


def test_an_edit_of_the_pages_own_files_makes_it_again(config: dict) -> None:
    names = {Path(path).name for path in inputs(config).assets(Wildcards(dataset="birds"))}
    assert {"report.html", "report.css", "report.js"} <= names == {path.name for path in ASSETS.iterdir()}


def test_replicates_that_are_there_and_of_the_present_config_are_shown(
    config: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = {**config, "replicates": {name: [] for name in NAMED}}
    hashes = {name: "1" for name in config["replicates"]}
    for name, of_table, of_all in (
        ("present", ("1", "x=1"), ("1", "x=1")),
        ("other", ("1", "x=1"), ("2", "x=1")),
        ("behind", ("2", "x=1"), ("1", "x=1")),  # its table was made anew, by another config
        ("changed", ("1", "x=2"), ("1", "x=1")),  # or of changed files
        ("bare", None, ("1", "x=1")),
    ):
        Path("results", name).mkdir(parents=True)
        for file, own in (("worst_group", of_table), ("replicates", of_all)):
            if own:
                monkeypatch.setattr(lineage, "current", lineage.Lineage(hash=own[0], data=own[1]))
                lineage.write_json(Path("results", name, f"{file}.json"), {})
    found = inputs(config, "results/asked/replicates.json", **hashes)
    assert found.replicates(Wildcards(dataset="birds")) == [
        "results/present/replicates.json",
        "results/asked/replicates.json",
    ]
    assert inputs({**config, "replicates": {}}).replicates(Wildcards(dataset="birds")) == []


def test_no_replicate_is_run_for_the_page(workflow: Workflow) -> None:
    workflow.edit(REPLICATES)
    page = "results/birds/report.html"
    alone = planned(workflow, target=page)
    assert (alone["browse"], alone["worst_group"], alone["index"]) == (1, 1, 1)
    assert "replicates" not in alone
    both = planned(workflow, "results/birds/replicates.json", target=page)
    assert (both["browse"], both["worst_group"], both["replicates"]) == (1, 3, 1)
    assert both["audit"] == alone["audit"] == 1  # of the data set's own images
