"""Worst-group accuracy over whole-chain replicates."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from jsonschema import Draft202012Validator
from workflows import result

from fairgen.core import lineage, schemas
from fairgen.core.errors import FairgenError
from fairgen.core.job import main
from fairgen.evaluate import intervals
from fairgen.evaluate.replicates import Files, Replicates, work
from fairgen.evaluate.replication import resplits, same_rows, summarise


def write(folder: Path, **accuracies: list[float]) -> Path:
    """A replicate's comparison."""
    path = folder / f"{len(list(folder.iterdir()))}.json"
    path.write_text(json.dumps(result(**accuracies)))
    return path


def test_the_interval_is_over_replicates_not_seeds(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Means over seeds 0.5, 0.6, 0.7: sd 0.1, t(2, 0.975) = 4.30265."""
    files = [write(tmp_path, erm=[0.1, 0.2], lora=[m - 0.1, m + 0.1]) for m in (0.5, 0.6, 0.7)]
    settings = '{"dataset":"toy","replicates":["toy","toy-1","toy-2"],"ablation":null}'
    words = [
        "--settings",
        settings,
        "--replicates",
        str(tmp_path / "replicates.json"),
        "--tables",
        *map(str, files),
    ]
    main(work, Replicates, Files, argv=words)
    document = json.loads((tmp_path / "replicates.json").read_text())
    found = document["results"]["0.99"]["lora"]
    worst = found["worst_group_accuracy"]
    assert (worst["mean"], worst["sd"]) == (pytest.approx(0.6), pytest.approx(0.1))
    assert worst["per_replicate"] == pytest.approx([0.5, 0.6, 0.7])
    assert worst["ci95"][1] - 0.6 == pytest.approx(4.30265 * 0.1 / 3**0.5, rel=1e-4)
    assert [seeds["per_seed"] for seeds in found["over_seeds"]] == [
        pytest.approx([m - 0.1, m + 0.1]) for m in (0.5, 0.6, 0.7)
    ]
    assert document["comparisons"]["0.99"]["minus_erm"]["lora"]["mean"] == pytest.approx(0.45)
    schema = schemas.published("replicates")
    Draft202012Validator.check_schema(schema)
    schemas.check(document, schema, "replicates.json")
    assert all("description" in entry for entry in schema["properties"].values() if "const" not in entry)
    assert "3 replicates" in capsys.readouterr().out


def test_a_ceiling_wins_no_ratio(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """The ceilings are those of the first table's config."""
    files = []
    for i, mean in enumerate((0.5, 0.6, 0.7)):
        files.append(tmp_path / f"{i}.json")
        document = result(ceilings=("perfect",), perfect=[0.9, 0.9], lora=[mean, mean], erm=[0.1, 0.1])
        files[-1].write_text(json.dumps(document))
    paths = SimpleNamespace(tables=files, replicates=tmp_path / "replicates.json")
    work(Replicates("toy", ["toy", "toy-1", "toy-2"], None), paths)
    found = json.loads(paths.replicates.read_text())
    assert found["comparisons"]["0.99"]["winner"] == "lora"
    assert found["results"]["0.99"]["perfect"]["worst_group_accuracy"]["mean"] == pytest.approx(0.9)
    assert "ceilings, not ranked: perfect" in capsys.readouterr().out


def test_a_file_that_does_not_fit_the_schema_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A comparison without its leader."""
    files = [write(tmp_path, erm=[0.1, 0.2], lora=[m, m]) for m in (0.5, 0.6, 0.7)]
    paths = SimpleNamespace(tables=files, replicates=tmp_path / "replicates.json")
    ranking = intervals.ranking

    def without_leader(*given: object) -> dict:
        return {name: value for name, value in ranking(*given).items() if name != "leader"}

    monkeypatch.setattr(intervals, "ranking", without_leader)
    with pytest.raises(
        FairgenError, match=r"replicates\.json: comparisons\.0\.99\.leader: the key is missing"
    ):
        work(Replicates("toy", ["toy", "toy-1", "toy-2"], None), paths)
    assert not paths.replicates.exists()


@pytest.mark.parametrize(
    ("roots", "resplit"),
    [
        (("data/own", "data/own/", "./data/own"), 0.125),
        (("data/own", "data/own", "data/other"), 0.125),
        (("data/a", "data/b", "data/c"), 0),
    ],
)
def test_the_same_images_are_the_same_however_their_folder_is_written(roots: tuple, resplit: float) -> None:
    data = [{"format": "folder", "root": root, "settings": {}} for root in roots]
    index = {"fractions": [0.8, 0.1, 0.1]}

    def documents(trained: int) -> list[dict]:
        table = {"erm": {"groups": {"a": {"n": 300, "train_n": trained}, "b": {"n": 100, "train_n": 84}}}}
        given = {"config": {"index": index}, "results": {"0.5": table}}
        return [given | {"config": {"index": index, "dataset": one}} for one in data]

    assert resplits(documents(4000)) == resplit
    # a bias ratio that cuts training rows leaves more test rows for each
    assert resplits(documents(1600)) == (pytest.approx(400 / 1684) if resplit else 0)


def test_replicates_of_changed_files_are_refused(tmp_path: Path) -> None:
    """The first was indexed before images had come; each has a split, and so rows, of its own."""

    def table(name: str, images: str, root: str = "data/own") -> Path:
        document = result(erm=[0.5, 0.6])
        document["config"] |= {"index": {"fractions": [0.8, 0.1, 0.1]}}
        document["config"]["dataset"] = {"format": "folder", "root": root, "settings": {}}
        document["lineage"] = {"hash": "0a", "data": f"{name}=0{images}.{images}"}
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(document))
        return path

    def replicates(*tables: Path) -> None:
        names = [path.stem for path in tables]
        work(Replicates("a", names, None), SimpleNamespace(tables=tables, replicates=tmp_path / "r.json"))

    replicates(table("a", "7"), table("b", "7"), table("c", "8", "data/other"))
    with pytest.raises(
        FairgenError, match=r"^a and b were indexed from different states of data/own, .*index$"
    ):
        replicates(table("a", "7"), table("b", "8"), table("c", "8"))


def test_groups_without_rows_are_those_of_any_replicate() -> None:
    one, other = result(erm=[0.5]), result(erm=[0.6])
    other["results"]["0.99"]["erm"]["empty_groups"] = {"train": [], "validation": [], "test": ["b"]}
    assert summarise([one, other], "0.99")["empty_groups"]["test"] == ["b"]


def test_replicates_with_the_same_rows_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {}
    for name, rows in (("a", [1]), ("b", [2]), ("c", [1]), ("d", []), ("e", [])):
        known = lineage.Lineage("00ff", "c0de", "worst_group") if rows else lineage.Lineage()
        monkeypatch.setattr(lineage, "current", known)
        if rows:
            lineage.of_data(name, rows, rows)
        tables[name] = tmp_path / f"{name}.json"
        lineage.write_json(tables[name], {})
    assert same_rows(tables) == [("a", "c")]  # the last two do not say what they come of
