"""An audited synthetic set with planted copies and flaws."""

import hashlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from pictures import photo
from PIL import Image

from fairgen.core import images, parquet
from fairgen.data import embed
from fairgen.evaluate import audit, data_card
from fairgen.evaluate.group_fidelity import Measures
from fairgen.generate.sample import FIELDS
from fairgen.models.encoder import Encoder

CLIP = "fairgen:embedded/weights/clip"
GROUPS = ["a", "b"]
COLUMNS = ("id", "group", "cluster", "file", "score", "kept", "reason")  # of a selection
RULE = {"by": "probability", "threshold": 0.3, "balance": "groups", "quota": 14, "allow_shortfall": True}
SETTINGS = audit.Audit(
    measures=Measures(10, 5, 6, 3, 5, 0.9999, 0.01),
    **{
        "real_images": 50,
        "near": 0,
        "shown": 3,
        "scorer": CLIP,
        "space": Encoder("clip", CLIP),
        "encoder": Encoder("clip", CLIP),
        "batch": 5,
        "groups": GROUPS,
        "classes": {"a": "first", "b": "second"},
    },
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
            {
                "id": 100 + i,
                "path": f"{i}.png",
                "hash": digest,
                "group": GROUPS[i % 2],
                "split": "train" if i < 24 else "test",
                "set": i,
            }
        )
    parquet.write(folder / "index.parquet", {k: [r[k] for r in rows] for k in rows[0]}, {"root": str(folder)})
    paths = SimpleNamespace(index=folder / "index.parquet", embeddings=folder / "embeddings.parquet")
    embed.work(embed.Embed(Encoder("clip", CLIP), 8), paths)


def write_samples(folder: Path, group: str, pictures: list[Image.Image], borrowed: str = "") -> Path:
    """A file of samples of one group."""
    about = {
        "group": group,
        "cluster": 0,
        "prompt": f"a {group}",
        "negative_prompt": "",
        "steps": 5,
        "guidance": 2.0,
    }
    about |= {"base": "tiny#1", "adapter": "x", "adapter_hash": "h", "borrowed_from": borrowed}
    about |= {"borrowed_guidance": 1.5 if borrowed else 0.0}
    rows = ((png(p), {"id": f"{group}/{i}", "seed": i, **about}) for i, p in enumerate(pictures))
    path = folder / f"{group}.parquet"
    parquet.write_images(path, rows, FIELDS, {"borrowed_from": borrowed})
    return path


def audited(folder: Path) -> Path:
    """An audited set: group a has a copy of training photograph 3, a repeat, a black and a grey image; group
    b is small.
    """
    write_real(folder)
    dark = [Image.new("RGB", (32, 32), (c, c, c)) for c in (0, 0, 128)]  # the first one is not kept
    fresh = [photo(1000 + i, 32) for i in range(9)]
    pictures = {
        "a": [dark[0], *fresh, fresh[0], Image.open(folder / "3.png"), *dark[1:]],
        "b": [photo(2000, 32)],
    }
    files = {
        group: write_samples(folder, group, found, "a" if group == "b" else "")
        for group, found in pictures.items()
    }
    rows = [
        (
            f"{g}/{i}",
            g,
            0,
            str(files[g]),
            1 - i / 100,
            (g, i) != ("a", 0),
            "" if (g, i) != ("a", 0) else "low",
        )
        for g in GROUPS
        for i in range(len(pictures[g]))
    ]
    facts = {
        "samples": {},
        "groups": {
            "a": {"kept": 13, "sampled": 14, "accepted": 0.5},
            "b": {"kept": 1, "sampled": 1, "accepted": 1.0},
        },
    }
    parquet.write(
        folder / "selection.parquet",
        dict(zip(COLUMNS, zip(*rows, strict=True), strict=True)),
        facts,
    )
    run(folder, folder, [])
    return folder


def run(folder: Path, out: Path, second: list[Path]) -> None:
    """Audit the set of a folder, with or without scores by a second scorer; the outputs go to `out`."""
    given = {name: folder / f"{name}.parquet" for name in ("index", "embeddings", "selection")}
    made = {"audit": "audit.json", "card": "selection.md", "pairs": "nearest.png", "page": "nearest.html"}
    made["nearest"] = "nearest.parquet"
    options = {"samples": [folder / f"{group}.parquet" for group in GROUPS], "scope": "any", "method": "m"}
    outputs = {name: out / file for name, file in made.items()}
    audit.work(SETTINGS, SimpleNamespace(**given, **outputs, **options, second=second))
