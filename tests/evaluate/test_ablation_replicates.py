"""An ablation over whole-chain replicates."""

import json
from pathlib import Path

import pytest
from workflows import Wildcards, Workflow, planned, result

from fairgen.core import schemas
from fairgen.core.errors import FairgenError
from fairgen.core.job import main
from fairgen.evaluate.ablation_replicates import work
from fairgen.evaluate.replication import Files, Replicates
from fairgen.workflow import expansion, method_chain
from fairgen.workflow.artifacts import Paths


def test_the_file_names_the_ablation(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    tables = []
    for i, mean in enumerate((0.5, 0.6, 0.7)):
        tables.append(tmp_path / f"{i}.json")
        tables[-1].write_text(json.dumps({**result(ce=[0.1, 0.2], supcon=[mean, mean]), "ablation": "loss"}))
    settings = {"dataset": "toy", "replicates": ["toy", "toy-1", "toy-2"], "ablation": "loss"}
    words = ["--settings", json.dumps(settings), "--replicates", str(tmp_path / "found.json"), "--tables"]
    main(work, Replicates, Files, argv=[*words, *map(str, tables)])
    document = json.loads((tmp_path / "found.json").read_text())
    schemas.check(document, schemas.published("replicates"), "replicates.json")
    assert document["ablation"] == "loss"
    assert document["results"]["0.99"]["supcon"]["worst_group_accuracy"]["mean"] == pytest.approx(0.6)
    assert "toy loss, bias ratio 0.99, 3 replicates" in capsys.readouterr().out


def test_the_whole_chain_of_every_replicate_is_planned(workflow: Workflow) -> None:
    entries = {
        f"birds-r{i}": {"like": "birds", "root": f"results/birds-r{i}", "options": {"seed": 20 + i}}
        for i in (1, 2)
    }
    workflow.edit(
        {
            "seeds": [0],
            "methods": {"clustered-ce": {"base": "clustered", "pretrain": {"supcon": 0}}},
            "datasets": entries,
            "replicates": {"birds": ["birds", "birds-r1", "birds-r2"]},
            "ablations": {"loss": ["clustered", "clustered-ce"]},
        }
    )
    plan = planned(workflow, target="results/birds/ablations/loss/replicates.json")
    wanted = {"draw": 3, "cluster": 6, "adapt": 24, "pretrain": 6, "ablation": 3, "ablation_replicates": 1}
    assert {rule: plan.get(rule) for rule in wanted} == wanted
    assert not {"worst_group", "replicates"} & plan.keys()


def test_replicates_whose_ablated_methods_differ_in_more_than_seeds_are_refused(config: dict) -> None:
    """The data set's own table compares erm alone, on which the generators' settings have no bearing."""
    odd = {
        "like": "birds",
        "root": "results/odd",
        "options": {"seed": 9},
        "settings": {"adapt": {"min_snr": 1}},
    }
    entries = {
        f"birds-r{i}": {"like": "birds", "root": f"results/r{i}", "options": {"seed": 20 + i}} for i in (1,)
    }
    whole = expansion.expanded(
        method_chain.merged(
            config,
            {
                "compare": ["erm"],
                "datasets": {**entries, "odd": odd},
                "replicates": {"birds": ["birds", "birds-r1", "odd"]},
                "ablations": {"clusters": ["dreambooth", "clustered"]},
            },
        )
    )
    assert len(Paths(whole).replicates(Wildcards(dataset="birds"))) == 3
    with pytest.raises(
        FairgenError, match=r"replicates\.birds: odd differs from birds in more than seeds: .*min_snr"
    ):
        Paths(whole).ablation_replicates(Wildcards(dataset="birds", ablation="clusters"))
