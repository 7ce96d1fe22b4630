"""The audit of real files, counted a second time by other means; skipped where the samples are not there."""

import hashlib
import json
import os
from collections import Counter, defaultdict
from pathlib import Path
from types import SimpleNamespace

import pytest
from workflows import PROJECT

from fairgen.core import parquet
from fairgen.core.settings import read
from fairgen.data import index
from fairgen.workflow import stage_settings as table

FOLDER = Path(os.environ.get("FAIRGEN_SAMPLES", PROJECT.parent / "shared/data"))


def indexed(config: dict, name: str, root: Path, out: Path) -> tuple[list[dict], list[dict], dict]:
    """Index, rejects and audit of a data set of the config."""
    if not root.is_dir():
        pytest.skip(f"no real files in {root.name}/ (set FAIRGEN_SAMPLES to the folder that holds it)")
    given = json.loads(table.settings(config, name, "index"))
    settings = read(
        index.Index, {k: v for k, v in given.items() if k != "threads"} | {"root": str(root)}, "index"
    )
    names = {
        "index": "index.parquet",
        "rejects": "rejects.parquet",
        "audit": "audit.json",
        "page": "audit.md",
    }
    index.work(settings, SimpleNamespace(workers="2", **{k: out / v for k, v in names.items()}))
    return (
        parquet.rows(out / "index.parquet"),
        parquet.rows(out / "rejects.parquet"),
        json.loads((out / "audit.json").read_text()),
    )


def test_utkface(config: dict, tmp_path: Path) -> None:
    root = FOLDER / "utkface"
    rows, rejects, audit = indexed(config, "utkface", root, tmp_path)
    files = sorted(p.name for p in root.iterdir())
    assert sorted([r["path"] for r in rows] + [r["file"] for r in rejects]) == files
    short = {name for name in files if len(name.split("_")) != 4}
    assert {r["file"] for r in rejects if r["malformed"]} == short

    def labels(name: str) -> tuple:
        age, gender = name.split("_")[:2]
        return gender, "young" if int(age) <= 5 else "old" if 20 <= int(age) <= 50 else None

    sets = defaultdict(list)
    for name in files:
        if name not in short:
            sets[hashlib.sha256((root / name).read_bytes()).hexdigest()].append(name)
    same = [found for found in sets.values() if len(found) > 1]
    clash = [found for found in same if len(set(map(labels, found))) > 1]
    assert (audit["identical"]["sets"], audit["identical"]["images"]) == (len(same), sum(map(len, same)))
    assert sorted(sorted(s["files"]) for s in audit["identical"]["conflicting"]) == sorted(map(sorted, clash))
    dropped = {name for found in clash for name in found}
    assert dropped.isdisjoint(r["path"] for r in rows)
    kept = [
        name
        for found in sets.values()
        for name in {labels(n): n for n in found}.values()
        if name not in dropped
    ]
    genders = {"0": "male", "1": "female"}
    expected = Counter(f"{genders[g]}-{bias}" for g, bias in map(labels, kept) if bias)
    assert Counter(r["group"] for r in rows) == expected


@pytest.mark.parametrize(("name", "target"), [("celeba", "Blond_Hair"), ("celeba-smiling", "Smiling")])
def test_celeba(config: dict, tmp_path: Path, name: str, target: str) -> None:
    root = FOLDER / "celeba"
    rows, rejects, audit = indexed(config, name, root, tmp_path)
    lines = (root / "list_attr_celeba.txt").read_text().splitlines()
    header, split = (
        lines[1].split(),
        dict(line.split() for line in (root / "list_eval_partition.txt").read_text().splitlines()),
    )
    there = {p.name for p in root.rglob("*.jpg")}
    expected, lacking = Counter(), 0
    for line in lines[2:]:
        image, *values = line.split()
        value = dict(zip(header, values, strict=True))
        lacking += image not in there
        if image in there:
            expected[value[target], value["Male"], ("train", "validation", "test")[int(split[image])]] += 1
    data = config["datasets"][name]
    words = {value: w[0] for part in ("target", "bias") for value, w in data[part]["values"].items()}
    assert Counter((str(words[r["target"]]), str(words[r["bias"]]), r["split"]) for r in rows) == expected
    assert audit["rejects"][0]["count"] == lacking == len(rejects)
