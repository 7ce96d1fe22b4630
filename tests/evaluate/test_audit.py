"""The audit of a synthetic set with planted copies and flaws, its data card, and the page over all sets."""

import base64
import hashlib
import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import audited
import numpy as np
import pytest
from audited import SETTINGS, write_real
from pictures import photo
from PIL import Image

from fairgen.core import parquet
from fairgen.core.errors import FairgenError
from fairgen.evaluate import audit, audit_features, closest_pairs
from fairgen.generate.scoring import Score, score
from fairgen.models import encoder
from fairgen.report import shots


def test_flaws_of_kept_images_are_counted(audit_document: dict) -> None:
    found = audit_document["groups"]["a"]
    assert {k: found[k] for k in ("black", "constant", "duplicates", "kept", "accepted")} == {
        **{"black": 1, "constant": 2, "duplicates": 1, "kept": 13, "accepted": 0.5}
    }


def test_a_copy_of_a_training_photograph_is_found_in_any_group(audit_document: dict) -> None:
    found = audit_document["groups"]["a"]["near_copies"]
    assert found == {"flagged": 1, "share": pytest.approx(1 / 13), "share_among_real": 0}
    first = audit_document["closest_pairs"][0]
    assert (first["generated"], first["real"], first["real_group"]) == ("a/11", "3.png", "b")
    assert first["similarity"] == pytest.approx(1, abs=1e-4)
    assert [p["group"] for p in audit_document["closest_pairs"]] == ["a", "a", "a", "b"]


def test_every_image_has_its_closest_training_image_also_those_that_were_left_out(
    folder: Path, audit_document: dict
) -> None:
    rows = {row["id"]: row for row in parquet.rows(folder / "nearest.parquet")}
    assert set(rows) == {row["id"] for row in parquet.rows(folder / "selection.parquet")}
    assert len(rows) == 14 + 1 and "a/0" in rows  # a/0 was left out
    for pair in audit_document["closest_pairs"]:
        own = rows[pair["generated"]]
        assert [own[k] for k in ("real", "real_group", "similarity")] == [
            pair[k] for k in ("real", "real_group", "similarity")
        ]
    copied = rows["a/11"]
    photograph = (folder / copied["real"]).read_bytes()
    assert copied["real_hash"] == hashlib.sha256(photograph).hexdigest()
    # left out or kept, alike images have the same closest one: both are black
    assert rows["a/0"]["real"] == rows["a/12"]["real"]
    assert rows["a/0"]["similarity"] == pytest.approx(rows["a/12"]["similarity"], abs=1e-5)
    facts = parquet.facts(folder / "nearest.parquet")
    share = audit_document["groups"]["a"]["near_copies"]["share_among_real"]
    assert facts.pop("among_real") == {"a": share, "b": None}
    assert facts == {"similarity": audit_document["similarity"], "encoder": audit_document["encoder"]}


def refused(folder: Path, place: Path, groups: set[str]) -> dict:
    """The audit, at another place, of a set of which the filter kept no image of these groups."""
    shutil.copytree(folder, place)
    table, facts = parquet.read(place / "selection.parquet"), parquet.facts(place / "selection.parquet")
    rows = table.to_pylist()
    for row in rows:
        row |= {"kept": False, "reason": "over quota"} if row["group"] in groups else {}
    for group in groups:
        facts["groups"][group]["kept"] = 0
    parquet.write(place / "selection.parquet", {name: [row[name] for row in rows] for name in rows[0]}, facts)
    audited.run(place, place, [])
    return json.loads((place / "audit.json").read_text())


@pytest.mark.parametrize("groups", [{"b"}, {"a", "b"}], ids=["one group", "all groups"])
def test_a_group_of_which_no_image_was_kept_has_null_figures(
    folder: Path, audit_document: dict, tmp_path: Path, groups: set[str]
) -> None:
    found = refused(folder, tmp_path / "x", groups)
    own = found["groups"]["b"]
    assert own["null_because"] == "0 generated and 12 real images; audit.min_images asks for 10"
    assert own["near_copies"] == {"flagged": 0, "share": None, "share_among_real": None}
    assert (own["kernel_distance"], own["transfer"]["real_to_synthetic"]) == (None, None)
    assert (own["black"], own["duplicates"], own["real_images"]) == (0, 0, 12)
    if "a" not in groups:
        assert found["groups"]["a"] == audit_document["groups"]["a"]
    assert {pair["group"] for pair in found["closest_pairs"]} == {"a", "b"} - groups
    assert "b: 0 generated and 12 real images" in (tmp_path / "x/selection.md").read_text()
    with Image.open(tmp_path / "x/nearest.png") as picture:  # a place for each group
        assert picture.size[1] > 300
    assert "b/0" in parquet.read(tmp_path / "x/nearest.parquet")["id"].to_pylist()  # left out, and looked at


def test_no_more_left_out_images_are_looked_at_than_the_page_shows(folder: Path, tmp_path: Path) -> None:
    refused(folder, tmp_path / "x", {"a"})
    names = [row["id"] for row in parquet.rows(tmp_path / "x/nearest.parquet") if row["group"] == "a"]
    assert len(names) == closest_pairs.LEFT_OUT < 14
    assert {"a/0", "a/13"} <= set(names)  # the best and the worst score
    page = shots.shots(tmp_path / "x/selection.parquet", tmp_path / "x/nearest.parquet", ())["a"]
    assert len(shots.shown(page, 3 * closest_pairs.LEFT_OUT)) == closest_pairs.LEFT_OUT


def test_figures_of_few_images_are_null_with_the_reason(audit_document: dict) -> None:
    figures = (
        "kernel_distance",
        "precision",
        "recall",
        "density",
        "coverage",
        "vendi_score",
        "vendi_score_real",
        "compared_images",
    )
    a, b = audit_document["groups"].values()
    assert all(a[name] is not None for name in figures)
    assert a["null_because"] is None
    assert (a["compared_images"], a["kernel_distance"]["block_size"], a["real_images"]) == (12, 6, 12)
    assert all(b[name] is None for name in (*figures,))
    assert b["near_copies"]["share"] is None
    assert a["transfer"] == b["transfer"]  # one class alone has enough images
    assert a["transfer"]["real_to_synthetic"] is None
    assert a["transfer"]["null_because"].startswith("fewer than two classes")
    assert b["null_because"] == "1 generated and 12 real images; audit.min_images asks for 10"


def test_the_card_says_how_the_set_was_made(folder: Path) -> None:
    text = (folder / "selection.md").read_text()
    for part in (
        "# Data card: synthetic images of toy\\|set, m, any",
        "| a | a a | none | 5 | 2.0 | 1 finetuned |",
        "| b | a b | none | 5 | 2.0 | 1 finetuned, those of a, with 1.5 times the base's step from",
        "`tiny#1`",
        "Seed of the set: 4",
        "probability of at least 0.3, then the best 14",
        "| a | 14 | 13 | 0.500 |",
        "- b: 1 generated and 12 real images",
        "## Licence",
        "## Limits",
    ):
        assert part in text, part


def test_the_sheet_shows_the_pairs(folder: Path) -> None:
    assert (
        base64.b64encode((folder / "nearest.png").read_bytes()).decode()
        in (folder / "nearest.html").read_text()
    )
    with Image.open(folder / "nearest.png") as picture:
        assert min(picture.size) > 200
        assert np.asarray(picture.convert("L")).std() > 5


def test_features_of_another_index_are_refused(folder: Path, tmp_path: Path) -> None:
    rows = parquet.read(folder / "embeddings.parquet")
    parquet.write(tmp_path / "embeddings.parquet", rows.slice(1))
    with pytest.raises(audit.FairgenError, match="made from another index"):
        audit.read_real(folder / "index.parquet", tmp_path / "embeddings.parquet")


def test_a_second_scorer_is_shown_beside_the_first(
    folder: Path, audit_document: dict, tmp_path: Path
) -> None:
    """Its scores here are the embedded CLIP's own; without it nothing of it stands in the audit."""
    second = tmp_path / "second.parquet"
    files = [folder / f"{group}.parquet" for group in audited.GROUPS]
    prompts = {"a": "a landbird on land", "b": "a waterbird on water"}
    score(Score(audited.CLIP, 8, prompts), SimpleNamespace(samples=files, scores=second), "score.second")
    audited.run(folder, tmp_path, [second])
    found = json.loads((tmp_path / "audit.json").read_text())
    assert found["second"] == audited.CLIP
    assert {k: v for k, v in found.items() if k not in ("groups", "second")} == {
        k: v for k, v in audit_document.items() if k != "groups"
    }
    for group, own in audit_document["groups"].items():
        more = {k: v for k, v in found["groups"][group].items() if k not in own}
        assert list(more) == ["accepted_second", "kept_accepted_second"]
        assert all(0 <= value <= 1 for value in more.values())
    assert f"| {audited.CLIP} |" in (tmp_path / "selection.md").read_text()
    assert "second" not in (folder / "selection.md").read_text()


def test_repeats_are_found_by_perceptual_hash_too() -> None:
    buffer = io.BytesIO()
    photo(1).save(buffer, "JPEG", quality=70)
    found = [{"id": i, **audit.flaws(p, 40)} for i, p in enumerate([photo(1), Image.open(buffer), photo(2)])]
    audit.duplicates.mark_sets(found, 40)
    assert [f["set"] for f in found] == [0, 0, 2]


def test_training_images_that_changed_since_they_were_indexed_are_refused(tmp_path: Path) -> None:
    """Figures and the sheet would be of other images than the index that they record."""
    write_real(tmp_path)
    real = audit.read_real(tmp_path / "index.parquet", tmp_path / "embeddings.parquet")
    other = encoder.load(SETTINGS.encoder)
    models = audit_features.Models(encoder.load(SETTINGS.space), other, 5)
    assert len(audit.real_features(models, real, real.rows)) == 24
    pair = closest_pairs.Pair("a", "x", 0, tmp_path / "index.parquet", real.rows[2], 0.5)
    photo(90, 32).save(tmp_path / "2.png")
    changed = r"2\.png: the image has changed since it was indexed"
    with pytest.raises(FairgenError, match=changed):
        audit.real_features(models, real, real.rows)
    with pytest.raises(FairgenError, match=changed):
        closest_pairs.plot(["a"], [pair], tmp_path, 0.9, tmp_path / "x.png")
