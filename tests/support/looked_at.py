"""A small comparison for the page `report.html`: real and generated photographs, their filter, clusters and
closest training images, with labels that try to be markup.
"""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pictures import photo
from workflows import PROJECT, result

from fairgen.core import images, parquet, records, safetensors_file
from fairgen.evaluate import replication
from fairgen.generate.sample import FIELDS
from fairgen.monitor import curves
from fairgen.report.browse import Browse, Files
from fairgen.report.gallery import Set

EVIL = "<script>document.title = 'broken in'</script><img src=x onerror=\"document.title = 'broken in'\">"
LIMIT = 0.99  # of near copies
COPY = ("a/0/3", "5.png")  # a generated image and the training image that it is a copy of
SETTINGS = Browse(
    **{"dataset": EVIL, "ratios": [0.99], "compare": ["erm", "lora", "clustered"], "seeds": [0, 1, 2]},
    **{
        "groups": ["a", EVIL],
        "owners": ["erm", "vanilla", "lora", "clustered"],
        "trained": ["erm", "vanilla", "lora"],
        "pretrained": ["vanilla", "lora"],
        "computing": ["adapt"],
    },
    sets=[
        Set("lora", ["lora"], 1, "probability", 0.3),
        Set("clustered", ["clustered", "clustered-groupdro"], 2, "probability", 0.3),
    ],
    **{"images": 4, "megabytes": 15.0},
)


def write_real(folder: Path) -> None:
    """Twelve training photographs of group a, in two clusters, two of the other group, and a test row."""
    rows = []
    for i in range(15):
        photo(i, 60).crop((0, 0, 40, 60)).save(folder / f"{i}.png")
        digest = hashlib.sha256((folder / f"{i}.png").read_bytes()).hexdigest()
        group, split = "a" if i < 12 else EVIL, "train" if i < 14 else "test"
        rows.append({"id": i, "path": f"{i}.png", "hash": digest, "group": group, "split": split})
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    parquet.write(folder / "split.parquet", columns, {"root": str(folder)})
    clusters = {
        "id": list(range(14)),
        "group": columns["group"][:14],
        "cluster": [i % 2 for i in range(12)] + [0, 0],
    }
    parquet.write(folder / "clusters.parquet", clusters, {})


def write_set(folder: Path, name: str, drawn: dict[str, list[int]], donor: str = "") -> None:
    """A synthetic set: of each group an image for each number, which is its cluster; every third one is left
    out by the filter. The second group borrows its donor's generators.
    """
    (folder / name).mkdir()
    chosen: list[dict[str, Any]] = []
    close: list[dict[str, Any]] = []
    for place, (group, clusters) in enumerate(drawn.items()):
        file, rows = folder / name / f"{place}.parquet", []
        for i, cluster in enumerate(clusters):
            own = f"{'a' if group == 'a' else 'b'}/{cluster}/{i}"
            pixels = np.asarray(photo(100 * len(name) + 10 * place + i, 32))
            about = {"group": group, "cluster": cluster, "prompt": f"a {EVIL} bird", "negative_prompt": ""}
            about |= {"steps": 9, "guidance": 1.5, "base": "x", "adapter": "", "adapter_hash": ""}
            about |= {"borrowed_from": donor if place else ""}
            rows.append((images.encode_png(pixels), {"id": own, "seed": 2**60 + i, **about}))
            out = i % 3 == 2
            reason = "probability below threshold" if out else ""
            score = 0.1 if out else 0.95 - i / 100
            chosen.append({"id": own, "group": group, "cluster": cluster, "file": str(file)})
            chosen[-1] |= {"score": score, "kept": not out, "reason": reason}
            copied = (name, own) == ("lora", COPY[0])
            real = int(COPY[1].split(".")[0]) if copied else i % 12
            digest = hashlib.sha256((folder / f"{real}.png").read_bytes()).hexdigest()
            close.append({"id": own, "group": group, "real": f"{real}.png", "real_hash": digest})
            close[-1] |= {"real_group": "a", "similarity": 0.999 if copied else 0.5 + i / 100}
        parquet.write_images(file, rows, FIELDS, {"borrowed_from": donor if place else ""})
    for stem, listed, facts in (
        ("selection", chosen, {}),
        ("nearest", close, {"similarity": LIMIT, "encoder": EVIL, "among_real": {"a": 0.0625, EVIL: None}}),
    ):
        columns = {key: [row[key] for row in listed] for key in listed[0]}
        parquet.write(folder / name / f"{stem}.parquet", columns, facts)


def write_curves(
    artifact: Path, name: str, values: list[float], figure: str = "", phase: str = "train"
) -> None:
    """The curves beside an artifact, of its lineage: a training loss of these values, or a look's figure."""
    run = curves.begun(name, phase, len(values))
    for step, value in enumerate(values, 1):
        curves.add(run, step, value, None, 0.1)
        run["looks"] += [{"step": step, figure: value}] if figure else []
    own = (records.read(artifact) or {}).get("hash", "")
    curves.write(curves.beside(artifact), {"lineage": own, "runs": [curves.told(run)]})


def write_trained(folder: Path) -> None:
    """An adapter with its curves."""
    trained = folder / "results/bias-0.99/lora/adapters/a/0.safetensors"
    trained.parent.mkdir(parents=True, exist_ok=True)
    safetensors_file.save(trained, {}, {})
    write_curves(trained, "a/0", [1.0, 0.5, 0.25])


def written(folder: Path) -> Files:
    """All that the page is made from; its own place is `report.html` there."""
    write_real(folder)
    write_set(folder, "lora", {"a": [0] * 12, EVIL: [0] * 3})
    write_set(folder, "clustered", {"a": [0, 1] * 6, EVIL: [0, 1, 1, 0]}, donor="a")
    accuracies = {"erm": [0.3, 0.4, 0.5], "lora": [0.8, 0.85, 0.9], "clustered": [0.7, 0.8, 0.6]}
    document = result(EVIL, **accuracies)
    (folder / "worst_group.json").write_text(json.dumps(document))
    write_trained(folder)
    benchmarks = folder / "benchmarks/bias-0.99/lora/adapters/a"
    benchmarks.mkdir(parents=True)
    (benchmarks / "0.tsv").write_text("s\th:m:s\tmax_rss\tcpu_time\n7200.0\t2:00:00\t2048.00\t3600.00\n")
    return Files(
        work=None,
        table=folder / "worst_group.json",
        split=folder / "split.parquet",
        selections=[folder / name / "selection.parquet" for name in ("lora", "clustered")],
        nearest=[folder / name / "nearest.parquet" for name in ("lora", "clustered")],
        clusters=[folder / "clusters.parquet"],
        replicates=[],
        assets=sorted((PROJECT / "fairgen/report/page").iterdir()),
        trained=str(folder / "results"),
        benchmarks=str(folder / "benchmarks"),
        gpus="2",
        page=folder / "report.html",
    )


def without_generators(files: Files) -> tuple[Browse, Files]:
    """The same where no method draws images."""
    none: dict[str, list[Path]] = {"selections": [], "nearest": [], "clusters": []}
    return replace(SETTINGS, sets=[]), replace(files, **none)


def table(folder: Path, dataset: str, ratio: float | str, values: dict[str, list[float]]) -> Path:
    """The replicates.json of three replicates of a data set."""
    folder = folder / dataset
    folder.mkdir()
    tables = []
    for i in range(3):
        tables.append(folder / f"{i}.json")
        own = {name: [listed[i]] for name, listed in values.items()}
        tables[-1].write_text(json.dumps(result(dataset, ratios=(ratio,), **own)))
    made = replication.Files(work=None, tables=tables, replicates=folder / "replicates.json")
    replication.write(replication.Replicates(dataset, [dataset, "b", "c"], None), made)
    return folder / "replicates.json"
