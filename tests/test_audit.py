"""The audit of a synthetic set with planted copies and flaws, its data card, and the page over all sets."""

import base64
import hashlib
import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from test_duplicates import photo

from fairgen.core import images, parquet
from fairgen.data import embed
from fairgen.evaluate import audit, audit_synthetic, data_card
from fairgen.generate.sample import FIELDS
from fairgen.models.encoder import Encoder

CLIP = "fairgen:embedded/weights/clip"
GROUPS = ["a", "b"]
RULE = {"by": "probability", "threshold": 0.3, "balance": "groups", "quota": 14, "allow_shortfall": True}
SETTINGS = audit.Audit(
    **{"min_images": 10, "real_images": 50, "blocks": 5, "block_size": 6, "neighbours": 3, "similarity": 0.9999},
    **{"near": 0, "shown": 3, "clip": CLIP, "encoder": Encoder("clip", CLIP), "batch": 5, "groups": GROUPS},
    card=data_card.Recipe("toy|set", 4, RULE),
)


def png(image: Image.Image) -> bytes:
    return images.encode_png(np.asarray(image))


def write_real(folder: Path) -> None:
    """24 training photographs of two groups, a test row, and their index with features."""
    rows = []
    for i in range(25):
        photo(i, 32).save(folder / f"{i}.png")
        digest = hashlib.sha256((folder / f"{i}.png").read_bytes()).hexdigest()
        rows.append(
            {"id": 100 + i, "path": f"{i}.png", "hash": digest, "group": GROUPS[i % 2], "split": "train" if i < 24 else "test"}
        )
    parquet.write(folder / "index.parquet", {k: [r[k] for r in rows] for k in rows[0]}, {"root": str(folder)})
    paths = SimpleNamespace(index=folder / "index.parquet", embeddings=folder / "embeddings.parquet")
    embed.work(embed.Embed(Encoder("clip", CLIP), 8), paths)


def write_samples(folder: Path, group: str, pictures: list[Image.Image], borrowed: str = "") -> Path:
    """A file of samples of one group."""
    about = {"group": group, "cluster": 0, "prompt": f"a {group}", "negative_prompt": "", "steps": 5, "guidance": 2.0}
    about |= {"base": "tiny#1", "adapter": "x", "adapter_hash": "h", "borrowed_from": borrowed}
    rows = ((png(p), {"id": f"{group}/{i}", "seed": i, **about}) for i, p in enumerate(pictures))
    path = folder / f"{group}.parquet"
    parquet.write_images(path, rows, FIELDS, {"borrowed_from": borrowed})
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audited set: group a has a copy of training photograph 3, a repeat, a black and a grey image; group b is small."""
    folder = tmp_path_factory.mktemp("audit")
    write_real(folder)
    dark = [Image.new("RGB", (32, 32), (c, c, c)) for c in (0, 0, 128)]  # the first one is not kept
    fresh = [photo(1000 + i, 32) for i in range(9)]
    pictures = {"a": [dark[0], *fresh, fresh[0], Image.open(folder / "3.png"), *dark[1:]], "b": [photo(2000, 32)]}
    files = {group: write_samples(folder, group, found, "a" if group == "b" else "") for group, found in pictures.items()}
    rows = [(f"{g}/{i}", g, str(files[g]), (g, i) != ("a", 0)) for g in GROUPS for i in range(len(pictures[g]))]
    facts = {"groups": {"a": {"kept": 13, "sampled": 14, "accepted": 0.5}, "b": {"kept": 1, "sampled": 1, "accepted": 1.0}}}
    parquet.write(
        folder / "selection.parquet", dict(zip(("id", "group", "file", "kept"), zip(*rows, strict=True), strict=True)), facts
    )
    names = {"index": "index.parquet", "embeddings": "embeddings.parquet", "selection": "selection.parquet"}
    names |= {"audit": "audit.json", "card": "selection.md", "pairs": "nearest.png", "page": "nearest.html"}
    paths = {key: folder / name for key, name in names.items()}
    audit.work(SETTINGS, SimpleNamespace(**paths, samples=list(files.values()), scope="any", method="m"))
    return folder


@pytest.fixture(scope="module")
def document(folder: Path) -> dict:
    return json.loads((folder / "audit.json").read_text())


def test_flaws_of_kept_images_are_counted(document: dict) -> None:
    found = document["groups"]["a"]
    assert {k: found[k] for k in ("black", "constant", "duplicates", "kept", "accepted")} == {
        **{"black": 1, "constant": 2, "duplicates": 1, "kept": 13, "accepted": 0.5}
    }


def test_a_copy_of_a_training_photograph_is_found_in_any_group(document: dict) -> None:
    found = document["groups"]["a"]["near_copies"]
    assert found == {"flagged": 1, "share": pytest.approx(1 / 13), "share_among_real": 0}
    first = document["closest_pairs"][0]
    assert (first["generated"], first["real"], first["real_group"]) == ("a/11", "3.png", "b")
    assert first["similarity"] == pytest.approx(1, abs=1e-4)
    assert [p["group"] for p in document["closest_pairs"]] == ["a", "a", "a", "b"]


def test_figures_of_few_images_are_null_with_the_reason(document: dict) -> None:
    figures = ("kid_on_clip_features", "precision", "recall", "vendi_score", "vendi_score_real", "compared_images")
    a, b = document["groups"].values()
    assert all(a[name] is not None for name in figures)
    assert a["null_because"] is None
    assert (a["compared_images"], a["kid_on_clip_features"]["block_size"], a["real_images"]) == (12, 6, 12)
    assert all(b[name] is None for name in (*figures,))
    assert b["near_copies"]["share"] is None
    assert b["null_because"] == "1 generated and 12 real images; audit.min_images asks for 10"


def test_the_card_says_how_the_set_was_made(folder: Path) -> None:
    text = (folder / "selection.md").read_text()
    for part in (
        "# Data card: synthetic images of toy\\|set, m, any",
        "| a | a a | none | 5 | 2.0 | 1 finetuned |",
        "| b | a b | none | 5 | 2.0 | 1 finetuned, those of a |",
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
    assert base64.b64encode((folder / "nearest.png").read_bytes()).decode() in (folder / "nearest.html").read_text()
    with Image.open(folder / "nearest.png") as picture:
        assert min(picture.size) > 200
        assert np.asarray(picture.convert("L")).std() > 5


def test_the_page_holds_every_set(folder: Path, document: dict, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**document, "method": "n", "scope": "bias-0.9"}))
    paths = SimpleNamespace(audits=[folder / "audit.json", other], table=tmp_path / "t.json", page=tmp_path / "t.md")
    paths.html = tmp_path / "all.html"
    audit_synthetic.work(audit_synthetic.AuditSynthetic("toy"), paths)
    results = json.loads(paths.table.read_text())["results"]
    assert {scope: list(methods) for scope, methods in results.items()} == {"any": ["m"], "bias-0.9": ["n"]}
    text = paths.page.read_text()
    assert "| m | any | a | 13 | 0.500 |" in text
    assert "| n | bias-0.9 | b | 1 | 1.000 | – | – | – |" in text
    assert "- n, bias-0.9, b: 1 generated and 12 real images; audit.min_images asks for 10" in text


def test_features_of_another_index_are_refused(folder: Path, tmp_path: Path) -> None:
    rows = parquet.read(folder / "embeddings.parquet")
    parquet.write(tmp_path / "embeddings.parquet", rows.slice(1))
    with pytest.raises(audit.FairgenError, match="made from another index"):
        audit.read_real(folder / "index.parquet", tmp_path / "embeddings.parquet")


def test_repeats_are_found_by_perceptual_hash_too() -> None:
    buffer = io.BytesIO()
    photo(1).save(buffer, "JPEG", quality=70)
    found = [{"id": i, **audit.flaws(p, 40)} for i, p in enumerate([photo(1), Image.open(buffer), photo(2)])]
    audit.duplicates.mark_sets(found, 40)
    assert [f["set"] for f in found] == [0, 0, 2]
