"""A small folder of results that no run has made, each file with the lineage that a run would record."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import yaml
from audited import write_samples
from pictures import photo
from workflows import PROJECT, result

from fairgen.core import lineage, parquet, records
from fairgen.evaluate.results import METRICS
from fairgen.models import adapters
from fairgen.workflow import compared, expansion

METHODS = {"erm": [0.25, 0.5], "vanilla": [0.5, 0.5], "lora": [0.75, 1.0]}
SCOPES = {"a": "any", "b": "bias-0.9"}  # of adapters and samples: a is aligned, and all ratios share its own
GROUPS = {
    "a": {"donor": None, "role": "aligned", "target": "landbird", "bias": "land", "prompt": "a [V] a"},
    "b": {"donor": "a", "role": "conflicting", "target": "landbird", "bias": "water", "prompt": "a [V] b"},
}


def config() -> dict:
    """The project's config, with two groups, two seeds and three methods, of which birds changes one."""
    found = yaml.safe_load((PROJECT / "config.yaml").read_text())
    found |= {"ratios": [0.9], "seeds": [0, 1], "compare": list(METHODS)}
    found["datasets"]["birds"]["groups"] = GROUPS
    found["datasets"]["birds"]["settings"]["methods"] = {"lora": {"adapt": {"lora": {"steps": 6}}}}
    return expansion.expanded(found)


@contextmanager
def job(hash: str, *parents: Path) -> Iterator[None]:
    """Write with a job's lineage, of what it read."""
    given = {
        "hash": hash,
        "code": "c0de",
        "inputs": {"of": [(records.read(p) or {})["hash"] for p in parents]},
    }
    lineage.begin(given, "toy", {})
    lineage.check_inputs({"of": list(parents)})
    yield
    lineage.current = lineage.Lineage()


def write(folder: Path) -> Path:
    """Write the results of `birds` below a folder; returns theirs."""
    place = folder / "results/birds"
    index, split = place / "index.parquet", place / "bias-0.9/split.parquet"
    split.parent.mkdir(parents=True)
    rows = {"id": [1, 2], "path": ["1.png", "2.png"], "group": ["a", "b"], "split": ["train", "test"]}
    with job("1d"):
        parquet.write(index, rows)
        lineage.write_json(place / "audit.json", {"images": 2})
    with job("5b", index):
        parquet.write(split, rows)
    sets = {
        "vanilla": drawn(place, "vanilla", [], dict.fromkeys("ab", "any"), "any"),
        "lora": drawn(place, "lora", trained(place, split), SCOPES, "bias-0.9"),
    }
    with job("aa", sets["lora"], index):
        lineage.write_json(sets["lora"].with_name("audit.json"), {"groups": {"a": {"accepted": 0.5}}})
    cells = [
        cell(place / f"bias-0.9/{method}/seed-{seed}", f"{number}{seed}", split, sets.get(method))
        for number, method in enumerate(METHODS)
        for seed in (0, 1)
    ]
    with job("ab", *cells):
        document = result("birds", (0.9,), **METHODS) | compared.identity(config(), "birds")
        lineage.write_json(place / "worst_group.json", document)
    return place


def of_data(path: Path, data: str) -> None:
    """Let a file say another state of the data that it comes of."""
    if path.suffix == ".json":
        document = json.loads(path.read_text())
        document[records.KEY]["data"] = data
        path.write_text(json.dumps(document))
        return
    table = parquet.read(path)
    record = json.loads(table.schema.metadata[b"lineage"]) | {"data": data}
    metadata = {**table.schema.metadata, b"lineage": json.dumps(record).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), path)


def trained(place: Path, split: Path) -> list[Path]:
    """Adapters of group a, with curves, and of b, which borrows."""
    files = [place / f"{SCOPES[group]}/lora/adapters/{group}/0.safetensors" for group in "ab"]
    of_training = {"images": 5, "loss": [0.5, 0.25], "prompt": "a V a", "reason": ""}
    of_training["settings"] = {"recipe": {"steps": 6}}
    facts = [of_training, {"images": 0, "reason": "borrows from a: 1 image is fewer than 20"}]
    for file, hash, group, own in zip(files, ("ada0", "adb0"), "ab", facts, strict=True):
        file.parent.mkdir(parents=True)
        with job(hash, split):
            adapters.write_empty(file, {"group": group, "cluster": 0, "kind": "lora", **own})
    training = {"step": [3, 6], "loss": [0.5, 0.25], "gradient_norm": [None, 1.5]}
    looks = {"step": [6], "held_out": [0.75]}
    run = {"name": "a", "phase": "adapt", "training": training, "looks": looks}
    curves = {"lineage": "ada0", "runs": [run]}
    files[0].with_suffix(".curves.json").write_text(json.dumps(curves))
    return files


def drawn(place: Path, owner: str, parents: list[Path], scopes: dict[str, str], scope: str) -> Path:
    """Three samples of each group, of which the filter keeps two; returns the selection."""
    columns = ("id", "group", "cluster", "file", "score", "kept", "reason")
    files, rows = {}, []
    for number, group in enumerate("ab"):
        folder = place / scopes[group] / owner / "samples"
        folder.mkdir(parents=True, exist_ok=True)
        with job(f"{'fe' if parents else 'ef'}{number}", *parents):
            files[group] = write_samples(folder, group, [photo(10 * number + i, 32) for i in range(3)])
        name = f"results/birds/{scopes[group]}/{owner}/samples/{group}.parquet"
        rows += [(f"{group}/{i}", group, 0, name, 0.25 * i, i > 0, "" if i else "low") for i in range(3)]
    with job("5e" if parents else "e5", *files.values()):
        facts = {"samples": {}, "groups": {g: {"kept": 2, "sampled": 3, "accepted": 2 / 3} for g in "ab"}}
        table = dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))
        parquet.write(place / scope / owner / "selection.parquet", table, facts)
    return place / scope / owner / "selection.parquet"


def cell(folder: Path, hash: str, split: Path, selection: Path | None) -> Path:
    """A classifier's predictions and metrics; returns the metrics."""
    folder.mkdir(parents=True)
    with job(f"d{hash}", split, *([selection] if selection else [])):
        words = ["landbird", "waterbird"]
        columns = {"id": [1, 2], "group": ["a", "b"], "split": ["test"] * 2, "target": words}
        parquet.write(folder / "predictions.parquet", {**columns, "predicted": ["landbird"] * 2})
    with job(f"e{hash}", folder / "predictions.parquet"):
        lineage.write_json(folder / "metrics.json", dict.fromkeys(METRICS, 0.5))
    return folder / "metrics.json"
