"""`fairgen.open`: what is handed out, whose it is, and that it is of the result."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import recorded
import yaml
from workflows import PROJECT, Wildcards, result

import fairgen
from fairgen.api.folder import Results, config_of
from fairgen.core import parquet
from fairgen.core.errors import FairgenError
from fairgen.evaluate.replicates import Files, Replicates, work
from fairgen.workflow import compared, expansion, method_chain
from fairgen.workflow.artifacts import Paths


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A recorded folder of results."""
    return recorded.write(tmp_path)


def test_importing_fairgen_is_light() -> None:
    program = (
        "import sys, fairgen; print([m for m in ('pandas', 'numpy', 'yaml', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
    program = "import sys, fairgen.api.folder; print([m for m in ('torch', 'snakemake') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_a_folder_and_its_file_open_alike(place: Path) -> None:
    for path in (place, str(place), place / "worst_group.json"):
        found = fairgen.open(path)
        assert (found.dataset, found.methods) == ("birds", tuple(recorded.METHODS))
        assert (found.ratios, found.seeds, found.groups) == (("0.9",), (0, 1), ("a", "b"))
        assert found.config["dataset"]["groups"]["a"]["prompt"] == "a [V] a"


def test_what_lies_with_another_owner_is_found(place: Path) -> None:
    """The base's samples are of no ratio; adapters, selection and predictions are the method's own."""
    found = fairgen.open(place)
    assert found.selection("vanilla").path == place / "any/vanilla/selection.parquet"
    assert found.selection("lora", 0.9).path == place / "bias-0.9/lora/selection.parquet"
    assert found.adapters("vanilla") == found.adapters("erm") == []
    assert [(a.group, a.steps, a.images) for a in found.adapters("lora")] == [("a", 6, 5), ("b", 0, 0)]
    assert found.adapters("lora")[1].reason.startswith("borrows from a")
    assert list(found.index["id"]) == list(found.split()["id"]) == [1, 2]
    assert found.metrics("lora")["auroc"] == found.metrics("lora", seed=1)["auroc"] == 0.5
    assert found.audit() == {"images": 2}
    assert found.audit("lora")["groups"]["a"]["accepted"] == 0.5


def test_predictions_are_of_one_seed_or_of_all(place: Path) -> None:
    found = fairgen.open(place)
    assert list(found.predictions("lora", seed=1)["seed"]) == [1, 1]
    both = found.predictions("lora")
    assert list(both["seed"]) == [0, 0, 1, 1]
    assert list(both["predicted"] == both["target"]) == [True, False] * 2


@pytest.mark.parametrize("examples", [[], ["birds-study.yaml"], ["birds-ablations.yaml"]], ids=str)
def test_the_recorded_config_leads_to_the_workflows_own_places(config: dict, examples: list[str]) -> None:
    """Of every compared method: the result's config, which leaves out what decides nothing, has the same
    owners and slots.
    """
    for name in examples:
        config = method_chain.merged(config, yaml.safe_load((PROJECT / "examples" / name).read_text()))
    config = expansion.expanded(config)
    identity = {"dataset": "birds", **compared.identity(config, "birds")}
    whole, ours = Paths(config), Paths(config_of(json.loads(json.dumps(identity))))
    methods = method_chain.block(config, "birds", None, "compare")
    assert len(methods) > 3
    for method in methods:
        w = Wildcards(dataset="birds", scope="bias-0.9", method=method, seed="0", group="waterbird-land")
        for of in ("own_adapters", "samples", "trained", "pixels", "finest_clusters", "selections"):
            assert getattr(ours, of)(w) == getattr(whole, of)(w), (method, of)
    assert ours.compared(w) == whole.compared(w)


READERS: dict[str, Callable[[Results], object]] = {  # calls that reach each kind of file
    "bias-0.9/lora/selection.parquet": lambda found: found.selection("lora"),
    "any/lora/samples/a.parquet": lambda found: found.selection("lora").table,
    "any/lora/adapters/a/0.safetensors": lambda found: found.adapters("lora"),
    "bias-0.9/lora/seed-1/predictions.parquet": lambda found: found.predictions("lora"),
    "bias-0.9/lora/seed-0/metrics.json": lambda found: found.metrics("lora"),
    "bias-0.9/lora/audit.json": lambda found: found.audit("lora"),
    "bias-0.9/split.parquet": lambda found: found.split(),
    "index.parquet": lambda found: found.index,
    "audit.json": lambda found: found.audit(),
}


@pytest.mark.parametrize("name", READERS)
def test_what_is_of_another_config_is_refused_by_name(place: Path, name: str) -> None:
    """A rerun that was cut short leaves new files beside an old result."""
    file = place / name
    with recorded.job("0dd"):
        if file.suffix == ".json":
            recorded.lineage.write_json(file, json.loads(file.read_text()))
        elif file.suffix == ".safetensors":
            recorded.adapters.write_empty(file, {"images": 9, "group": "a", "kind": "lora"})
        else:
            table = parquet.read(file)
            parquet.write(file, table.replace_schema_metadata(None), parquet.facts(file))
    with pytest.raises(FairgenError) as said:
        READERS[name](fairgen.open(place))
    assert str(said.value).startswith(f"{file} ")
    assert "of another config or code" in str(said.value)
    assert "\n" not in str(said.value)
    with pytest.warns(UserWarning, match="of another config or code"):
        READERS[name](fairgen.open(place, strict=False))


def test_a_part_of_the_folder_does(place: Path, tmp_path: Path) -> None:
    """Files that were not copied are named when they are asked for; the folder may have another name."""
    copied = tmp_path / "laptop/old-birds"
    shutil.copytree(place, copied)
    shutil.rmtree(copied / "any/lora/adapters")
    found = fairgen.open(copied)
    assert found.selection("lora").images("a")[0].image.size == (32, 32)
    with pytest.raises(FairgenError, match=r"adapters/a/0\.safetensors is not there; make it, or copy"):
        found.adapters("lora")


@pytest.mark.parametrize("record", [{"hash": "ab", "sources": 5}, {"hash": 1}, 5], ids=str)
def test_a_damaged_record_is_one_line(place: Path, record: object) -> None:
    file = place / "worst_group.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "lineage": record}))
    with pytest.raises(FairgenError, match=r"lineage: .*; make it again|lineage: .*: the file was changed"):
        fairgen.open(place)


def test_what_saw_other_files_of_the_data_set_is_refused(place: Path) -> None:
    """Of the same config and code: only the index was made again after images had changed."""
    recorded.of_data(place / "worst_group.json", "birds=01")
    recorded.of_data(place / "index.parquet", "birds=02")
    recorded.of_data(place / "bias-0.9/split.parquet", "birds=01")
    found = fairgen.open(place)
    assert len(found.split()) == 2
    with pytest.raises(FairgenError, match=r"index\.parquet and .* different states of the data set birds"):
        _ = found.index
    with pytest.warns(UserWarning, match="different states"):
        _ = fairgen.open(place, strict=False).index


def test_an_audit_of_other_files_than_the_results_is_refused(place: Path) -> None:
    """A set drawn by prompt comes of no data, its audit does."""
    recorded.of_data(place / "bias-0.9/lora/audit.json", "birds=02")
    assert fairgen.open(place).audit("lora")["groups"]
    recorded.of_data(place / "worst_group.json", "birds=01")
    with pytest.raises(FairgenError, match=r"audit\.json and .* different states of the data set birds"):
        fairgen.open(place).audit("lora")


def test_a_result_that_does_not_say_its_sources_is_announced(place: Path) -> None:
    file = place / "worst_group.json"
    document = json.loads(file.read_text())
    del document["lineage"]["sources"]
    file.write_text(json.dumps(document))
    with pytest.warns(UserWarning, match="handed out unchecked"):
        found = fairgen.open(place)
    assert len(found.selection("lora").kept) == 4


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda r: r.selection("lorra"), "unknown method 'lorra'; did you mean lora?"),
        (lambda r: r.selection("erm"), "erm draws no images; those that do: vanilla, lora"),
        (lambda r: r.split(0.95), "unknown bias ratio 0.95; there are 0.9"),
        (lambda r: r.metrics("lora", seed=True), "unknown seed True; the result has 0, 1"),
        (lambda r: r.predictions("lora", seed=7), "unknown seed 7; the result has 0, 1"),
        (lambda r: fairgen.open(r.path.parent), r"holds no worst_group.json; there are results in .*/birds"),
        (
            lambda r: fairgen.open(r.path.with_name("birdz")),
            r"birdz holds no .* there are results in .*/birds",
        ),
        (lambda r: fairgen.open(r.path / "any"), "make it: fairgen run any"),
    ],
)
def test_mistakes_are_one_line(place: Path, call: Callable[[Results], object], told: str) -> None:
    with pytest.raises(FairgenError, match=told) as said:
        call(fairgen.open(place))
    assert "\n" not in str(said.value)


REPLICATES = ("birds", "birds-1", "birds-2")


def replicated(place: Path, *parents: Path, names: tuple[str, ...] = REPLICATES) -> None:
    """Write replicates of the result."""
    files = []
    for i in range(3):
        files.append(place / f"{i}.json")
        methods = {"erm": [0.5], "vanilla": [0.5], "groupdro": [0.25 + i / 8], "lora": [0.75 + i / 16]}
        files[-1].write_text(json.dumps(result(ratios=(0.9,), **methods)))
    with recorded.job("ac", *parents):
        settings = Replicates("birds", list(names), None)
        work(settings, Files(work=None, tables=files, replicates=place / "replicates.json"))


def test_replicates_and_claims_are_there_where_they_were_made(place: Path) -> None:
    found = fairgen.open(place)
    assert (found.replicates, found.claims()) == (None, None)
    replicated(place, place / "worst_group.json")
    table = found.replicates.query("method == 'lora'")
    assert list(table["replicate"]) == ["birds", "birds-1", "birds-2"]
    assert list(table["worst_group_accuracy"]) == [0.75, 0.8125, 0.875]
    gain = found.claims(finetuned=("lora",), ours="lora")[0]
    assert (gain.claim, gain.mean, gain.verdict) == ("1. finetuned above vanilla", 0.3125, "held")
    with pytest.raises(FairgenError, match="no dreambooth, clustered among the methods"):
        found.claims()


def test_claims_are_judged_as_the_command_judges_them(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of other splits of the same images with wider intervals, and with all that is to be known beside."""
    replicated(place, place / "worst_group.json")
    found = fairgen.open(place)
    asked = {"finetuned": ("lora",), "ours": "lora"}
    with pytest.warns(UserWarning, match="one bias ratio"):
        apart = found.claims(**asked)[0]
    document = found._replicates() | {"resplit": 0.5}
    monkeypatch.setattr(type(found), "_replicates", lambda self: document)
    with pytest.warns(UserWarning, match="one bias ratio"):
        shared = found.claims(**asked)[0]
    wider = (shared.high - shared.low) / (apart.high - apart.low)
    assert wider == pytest.approx(((1 / 3 + 0.5) / (1 / 3)) ** 0.5)


def test_replicates_need_not_name_the_data_set_itself(place: Path) -> None:
    """Their own tables say whether they are still of them; those that were not copied cannot be asked."""
    names = ("birds-1", "birds-2", "birds-3")
    tables = [place.parent / name / "worst_group.json" for name in names[:2]]
    for number, table in enumerate(tables):
        table.parent.mkdir()
        with recorded.job(f"7ab{number}"):
            recorded.lineage.write_json(table, {})
    replicated(place, *tables, names=names)
    found = fairgen.open(place)
    assert list(found.replicates.query("method == 'lora'")["replicate"]) == list(names)
    assert found.claims(finetuned=("lora",), ours="lora")
    with recorded.job("0dd"):
        recorded.lineage.write_json(tables[1], {})
    with pytest.raises(FairgenError, match=r"replicates\.json was not made from .*birds-2/worst_group\.json"):
        _ = found.replicates


def test_replicates_of_another_result_are_refused(place: Path) -> None:
    replicated(place, place / "index.parquet")
    with pytest.raises(FairgenError, match=r"replicates\.json was not made from .*worst_group\.json"):
        _ = fairgen.open(place).replicates
