"""Synthetic sets as folders of Hugging Face `datasets`: opened by it, and by mlcroissant, with the same
pixels.
"""

import io
import json
import warnings
from pathlib import Path
from typing import Any

import audited
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import recorded as recorded_results
import yaml
from PIL import Image

from fairgen import cli
from fairgen.commands.exports import card, dataset
from fairgen.core import parquet

HASH = "2" * 16  # of the selection's lineage
CLASSES = {"a": ("first", "left"), "b": ("second", "right")}


@pytest.fixture(scope="module")
def selection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audited selection at its place in the results."""
    place = tmp_path_factory.mktemp("made") / "results/toy/bias-0.9/lora"
    place.mkdir(parents=True)
    audited.audited(place)
    recorded(place)
    rows = [{"group": group, "target": t, "bias": b} for group, (t, b) in CLASSES.items()]
    parquet.write(place.parents[1] / "index.parquet", {k: [r[k] for r in rows] for k in rows[0]})
    return place / "selection.parquet"


def recorded(place: Path, of: str = HASH) -> None:
    """Lineages, as jobs write them: the selection's, and an audit that was made from `of`."""
    path = place / "selection.parquet"
    table = parquet.read(path)
    about = {**table.schema.metadata, b"lineage": json.dumps({"hash": HASH}).encode()}
    pq.write_table(table.replace_schema_metadata(about), path)
    audit = json.loads((place / "audit.json").read_text())
    record = {"hash": "3" * 16, "sources": f"{'1' * 16} {of}"}
    (place / "audit.json").write_text(json.dumps({**audit, "lineage": record}))


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recorded folder of results, opened from where its run was started."""
    folder = recorded_results.write(tmp_path)
    values = {"group": ["a", "b"], "target": ["first", "second"], "bias": ["left", "right"]}
    with recorded_results.job("1d"):
        parquet.write(folder / "index.parquet", values)
    audit = folder / "bias-0.9/lora/audit.json"
    about = {"sampled": 3, "kept": 2, "accepted": 2 / 3}
    audit.write_text(json.dumps({**json.loads(audit.read_text()), "groups": {"a": about, "b": about}}))
    for file in folder.glob("*/*/audit.json"):
        file.rename(file.with_name("no-audit.json"))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.parametrize("owner", ["bias-0.9/lora", "any/vanilla"])
def test_labels_of_another_config_are_refused(
    made: Path, owner: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the set was drawn from: what the base draws knows no index, but the comparison knows both."""
    assert export(made / owner / "selection.parquet", made / "out") == 0
    values = {"group": ["a", "b"], "target": ["second", "first"], "bias": ["right", "left"]}
    with recorded_results.job("0dd"):
        parquet.write(made / "index.parquet", values)
    capsys.readouterr()
    assert export(made / owner / "selection.parquet", made / "again") == 1
    told = capsys.readouterr().err
    assert "index.parquet is not what" in told and told.count("\n") == 1
    assert not (made / "again").exists()


@pytest.mark.parametrize("changed", ["index.parquet", "bias-0.9/lora/samples/b.parquet"])
def test_a_mixture_of_two_states_of_the_data_is_refused(
    made: Path, changed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("index.parquet", "bias-0.9/lora/selection.parquet", "bias-0.9/lora/samples/b.parquet"):
        recorded_results.of_data(made / name, "birds=02" if name == changed else "birds=01")
    assert export(made / "bias-0.9/lora/selection.parquet", made / "out") == 1
    told = capsys.readouterr().err
    assert "were made from different states of the data set birds" in told and told.count("\n") == 1


def export(*words: object) -> int:
    return cli.main(["export", *map(str, words)])


def pixels(selection: Path, kept: bool = True) -> dict[str, np.ndarray]:
    """The images of a selection by their ids."""
    wanted = {row["id"] for row in parquet.rows(selection, ["id", "kept"]) if row["kept"] == kept}
    rows = [
        pair
        for group in audited.GROUPS
        for pair in parquet.image_rows(selection.with_name(f"{group}.parquet"))
    ]
    return {row["id"]: np.asarray(Image.open(io.BytesIO(png))) for png, row in rows if row["id"] in wanted}


def opened(folder: Path, cache: Path) -> Any:
    """The folder by `datasets`, whose warnings are errors."""
    import datasets

    datasets.disable_progress_bars()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        return datasets.load_dataset(str(folder), cache_dir=str(cache))


@pytest.mark.parametrize("shard", [dataset.SHARD, 2000])
def test_datasets_opens_it_with_the_same_pixels_and_labels(
    selection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shard: int
) -> None:
    """In one shard and in several."""
    monkeypatch.setattr(dataset, "SHARD", shard)
    monkeypatch.setattr(parquet, "ROW_GROUP", 3)
    assert export(selection, tmp_path / "set", "--rejected", "--license", "cc0-1.0") == 0
    found = opened(tmp_path / "set", tmp_path / "cache")
    assert {name: len(split) for name, split in found.items()} == {"train": 14, "rejected": 1}
    shards = sorted(path.name for path in (tmp_path / "set/data").iterdir())
    assert (len(shards) > 2) == (shard == 2000)
    assert shards[-1] == f"train-{len(shards) - 2:05}-of-{len(shards) - 1:05}.parquet"
    for name, split in found.items():
        wanted = pixels(selection, name == "train")
        assert [row["id"] for row in split] == list(wanted)
        for row in split:
            assert np.array_equal(np.asarray(row["image"]), wanted[row["id"]])
            labels = tuple(split.features[key].int2str(row[key]) for key in ("group", "target", "bias"))
            assert labels == (row["id"][0], *CLASSES[row["id"][0]])
            assert (row["kept"], row["reason"]) == (name == "train", "" if name == "train" else "low")
            number = int(row["id"].partition("/")[2])
            assert (row["seed"], row["score"], row["prompt"]) == (
                number,
                1 - number / 100,
                f"a {row['id'][0]}",
            )
            assert (row["base"], row["adapter_hash"], row["steps"]) == ("tiny#1", "h", 5)


def test_croissant_describes_it(selection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """mlcroissant validates it and reads the images and the names of the labels by it, of one shard and
    several.
    """
    import mlcroissant

    monkeypatch.setattr(parquet, "ROW_GROUP", 3)
    for name, shard in (("one", dataset.SHARD), ("several", 2000)):
        monkeypatch.setattr(dataset, "SHARD", shard)
        out = tmp_path / name
        assert export(selection, out, "--license", "mit") == 0
        found = mlcroissant.Dataset(str(out / "croissant.json"))
        assert found.metadata.ctx.issues.errors == set()
        assert found.metadata.ctx.conforms_to.value == "http://mlcommons.org/croissant/1.1"
        rows, wanted = list(found.records("train")), pixels(selection)
        assert [row["train/id"].decode() for row in rows] == list(wanted)
        assert all(
            np.array_equal(np.asarray(row["train/image"]), wanted[row["train/id"].decode()]) for row in rows
        )
        assert [row["target_names/name"] for row in found.records("target_names")] == ["first", "second"]
        written = json.loads((out / "croissant.json").read_text())
        assert written["license"] == "mit"
        told = " ".join(text for key, text in written.items() if key.startswith("rai:"))
        assert "nobody has looked" not in told and "lessen" not in told
        assert (len(written["distribution"]) > 2) == (name == "several")


def test_the_card_says_what_the_set_is(
    selection: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Front matter as the hub reads it, counts, figures of the audit with near copies, and what is not
    known.
    """
    assert export(selection, tmp_path / "set", "--base-license", "openrail") == 0
    assert "warning: the card states no licence; give --license" in capsys.readouterr().err
    text = (tmp_path / "set" / card.CARD).read_text()
    front = card.front_matter(tmp_path / "set")
    assert front == yaml.safe_load(text.split("---\n")[1])
    assert (front["license"], front["task_categories"], front["size_categories"]) == (
        "unknown",
        ["image-classification"],
        ["n<1K"],
    )
    assert [own["name"] for own in front["dataset_info"]["features"]] == [
        *("image", "group", "target", "bias", "id", "cluster", "prompt", "negative_prompt", "seed", "steps"),
        *("guidance", "base", "adapter_hash", "borrowed_from", "borrowed_guidance"),
        *("score", "kept", "reason"),
    ]
    for said in (
        "14 images drawn by a diffusion model to balance the groups of the data set `toy`",
        "method `lora`, `bias-0.9`",
        "| a | first | left | 14 | 13 | 0.500 |",
        "near copies (among real)",
        "| b | a b | none | 5 | 2.0 | 1 finetuned, those of a, with 1.5 times the base's step from",
        "| base model | openrail |",
        "| training images | not stated;",
        "## Intended use",
        "## Limits",
    ):
        assert said in text, said
    assert "not audited" not in text
    record = json.loads((tmp_path / "set/fairgen.json").read_text())
    assert (record["kind"], record["repository"], record["images"]) == ("dataset", "dataset", {"train": 14})


def test_a_set_without_an_audit_says_so(
    selection: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    audit = selection.with_name("audit.json")
    content = audit.read_text()
    try:
        for other in (content.replace('"kept": 13', '"kept": 12'), content.replace(HASH, "4" * 16)):
            audit.write_text(other)
            assert export(selection, tmp_path / "other") == 1
            assert "audit.json is of another selection than" in capsys.readouterr().err
        document = json.loads(content)
        del document["lineage"]
        audit.write_text(json.dumps(document))  # the same counts, and no word of which images
        assert export(selection, tmp_path / "unknown") == 0
        audit.unlink()
        assert export(selection, tmp_path / "set") == 0
    finally:
        audit.write_text(content)
    for name in ("unknown", "set"):
        assert "The set is not audited, as far as its files say" in (tmp_path / name / card.CARD).read_text()


def test_what_is_no_set_is_one_line(selection: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    lone, none, moved = (
        tmp_path / name for name in ("lone.parquet", "results/x/any/m/none.parquet", "gone.parquet")
    )
    none.parent.mkdir(parents=True)
    table = parquet.read(selection)
    rows = table.to_pylist()
    parquet.write(lone, {"id": ["a"]})
    facts = parquet.facts(selection)
    parquet.write(
        none, {key: [row[key] for row in rows] for key in rows[0]} | {"kept": [False] * len(rows)}, facts
    )
    parquet.write(
        moved,
        {key: [row[key] for row in rows] for key in rows[0]} | {"file": ["no/x.parquet"] * len(rows)},
        facts,
    )
    copied = tmp_path / "results/y/any/m/selection.parquet"
    copied.parent.mkdir(parents=True)
    copied.write_bytes(selection.read_bytes())
    for path, said in (
        (tmp_path / "none.parquet", "no such file; give the selection.parquet"),
        (lone, "lone.parquet is no selection of synthetic images"),
        (none, "the filter has kept no image"),
        (moved, "its images are missing (no/x.parquet)"),
        (copied, "index.parquet is missing, which says the class and bias value of each group"),
    ):
        assert export(path, tmp_path / "out") == 1
        assert said in capsys.readouterr().err.splitlines()[-1]
        assert not (tmp_path / "out").exists()
    for words in (["--dtype", "bfloat16"], ["--revision", "ab"], ["--input", "float"]):
        assert export(selection, tmp_path / "out", *words) == 1
        assert f"{words[0]}: datasets, as {selection} is exported" in capsys.readouterr().err
    assert export(selection, tmp_path / "out", "--layout", "kohya") == 1
    assert "is a dataset; give one of datasets" in capsys.readouterr().err


def test_images_of_an_earlier_version_are_refused(
    selection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Their files say less of an image than the set's columns."""
    whole = parquet.schema

    def before(path: Path) -> pa.Schema:
        place = whole(path).get_field_index("borrowed_guidance")
        return whole(path).remove(place) if place >= 0 else whole(path)

    monkeypatch.setattr(parquet, "schema", before)
    assert export(selection, tmp_path / "out") == 1
    assert "does not say borrowed_guidance of its images: an earlier version" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_every_column_has_words() -> None:
    from fairgen.commands.exports import dataset_card

    assert set(dataset_card.COLUMNS) == {
        "image",
        *dataset.LABELS,
        *dataset.COLUMNS,
        "score",
        "kept",
        "reason",
    }


def test_places_of_this_machine_stay_on_it(selection: Path, tmp_path: Path) -> None:
    """A local base's folder and what lies above the results are not told to others."""
    assert export(selection, tmp_path / "set") == 0
    record = json.loads((tmp_path / "set/fairgen.json").read_text())
    assert record["source"] == "results/toy/bias-0.9/lora/selection.parquet"
    assert not [
        path
        for path in (tmp_path / "set").rglob("*.*")
        if str(selection.parents[4]).encode() in path.read_bytes()
    ]
