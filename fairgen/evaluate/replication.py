"""Comparisons over whole-chain replicates of a data set: worst-group accuracy per method and ratio.

A replicate is a data set entry with split and generation seeds of its own. Its value is the mean over its
classifier seeds, so the intervals here are over data, splits, generators and classifiers together; those in
each replicate's own table are over classifiers only. `replicates.schema.json` describes the file.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairgen.core import job, lineage, records, schemas
from fairgen.core.errors import FairgenError
from fairgen.evaluate import intervals, results


@dataclass(frozen=True)
class Replicates:
    """The data set, its replicates in the order of the tables, and the ablation that these are of."""

    dataset: str
    replicates: list[str]
    ablation: str | None


@dataclass(frozen=True)
class Files(job.Files):
    """What a job reads and writes."""

    tables: job.Inputs
    replicates: job.Output


def resplits(documents: list[dict[str, Any]]) -> float:
    """Test rows for each training row where some replicates are other splits of the same images, the most
    that a ratio leaves; 0 for drawings of their own. Of data with test rows of their own it is too much, and
    the interval on the safe side.
    """
    data = [document["config"]["dataset"] for document in documents]
    places = [os.path.realpath(one["root"]) for one in data if one["format"] != results.ITS_WORLD]
    if len(set(places)) == len(places):
        return 0.0
    index = {**documents[0]["config"]["index"], **data[0]["settings"].get("index", {})}
    train, _, test = index["fractions"]
    # a bias ratio cuts training rows alone, and all methods have the same
    tables = [next(iter(methods.values())) for one in documents for methods in one["results"].values()]
    counts = [[sum(g[n] for g in table["groups"].values()) for n in ("n", "train_n")] for table in tables]
    return max([test / train, *(tested / trained for tested, trained in counts)])


def summarise(documents: list[dict[str, Any]], ratio: str, resplit: float = 0.0) -> dict[str, Any]:
    """Each method's worst-group accuracy over the replicates and over each one's seeds, and the paired
    comparison; `resplit` as for `intervals.student`.
    """
    seeds = {
        method: [d["results"][ratio][method]["worst_group_accuracy"] for d in documents]
        for method in documents[0]["results"][ratio]
    }
    means = {method: [figure["mean"] for figure in own] for method, own in seeds.items()}
    methods = {
        method: {
            "worst_group_accuracy": intervals.over_runs(own, "replicate", intervals.SHARE, resplit),
            "over_seeds": seeds[method],
        }
        for method, own in means.items()
    }
    found = [results.empty_groups(d["results"][ratio]) for d in documents]
    empty = {split: sorted({name for one in found for name in one[split]}) for split in found[0]}
    ceilings = results.ceilings(documents[0]["config"], means)
    return {
        "methods": methods,
        "empty_groups": empty,
        "comparison": intervals.ranking(means, "replicate", ceilings, resplit),
    }


def terminal_table(document: dict[str, Any], trial: str = "") -> str:
    """Mean and interval of every method at every ratio, after what is to be said of trials."""
    lines = [f"\n{trial}."] if trial else []
    count = len(document["replicates"])
    title = " ".join(filter(None, (document["dataset"], document.get("ablation"))))
    for ratio, methods in document["results"].items():
        lines += [
            f"\n{title}, bias ratio {ratio}, {count} replicates",
            f"{'method':<18}{'worst group':>12}{'95 %':>16}",
        ]
        for name, entry in sorted(methods.items(), key=lambda item: -item[1]["worst_group_accuracy"]["mean"]):
            worst = entry["worst_group_accuracy"]
            lines.append(f"{name:<18}{worst['mean']:>12.3f}{intervals.shown(worst):>16}")
        lines += results.missing(document["empty_groups"][ratio])
        lines += intervals.said(document["comparisons"][ratio], methods, "replicate", bool(trial))
    return "\n".join(lines)


def check_images(tables: dict[str, Path], documents: list[dict[str, Any]]) -> None:
    """Refuse replicates of one folder that were indexed before and after its files had changed; `tables` by
    the replicates' names.

    Raises:
        FairgenError: names two of them.
    """
    first: dict[tuple[str, str], tuple[str, str]] = {}
    for (name, path), document in zip(tables.items(), documents, strict=True):
        data, images = document["config"]["dataset"], records.images_of(records.read(path), name)
        if not images or data["format"] == results.ITS_WORLD:
            continue
        place = os.path.realpath(data["root"]), json.dumps(data.get("options", {}), sort_keys=True)
        seen, other = first.setdefault(place, (images, name))
        if seen != images:
            raise FairgenError(
                f"{other} and {name} were indexed from different states of {data['root']}, whose files have"
                " changed between them; call snakemake again with --forcerun index"
            )


def same_rows(tables: dict[str, Path]) -> list[tuple[str, str]]:
    """The replicates, by their tables, that have the rows of another one in every split, after that one;
    tables without a lineage say nothing of their rows.
    """
    first: dict[str, str] = {}
    found = []
    for name, path in tables.items():
        digest = records.data_of(records.read(path)).get(name)
        if digest and (known := first.setdefault(digest, name)) != name:
            found.append((known, name))
    return found


def write(settings: Replicates, files: Files) -> None:
    """Gather the replicates' tables, write the published document, and print its summary.

    Raises:
        FairgenError: a table is none, replicates are of different files of one folder, or the document does
            not fit its schema.
    """
    documents = [results.load(path) for path in files.tables]
    tables = dict(zip(settings.replicates, files.tables, strict=True))
    check_images(tables, documents)
    alike = same_rows(tables)
    for one, other in alike:
        job.warn(
            f"{one} and {other} have the same rows in every split, so that both are tried on the same test"
            " rows, and the interval does not speak about others: give each another index.seed, where the"
            " data have no split of their own"
        )
    trial = results.trial(documents[0])
    resplit = 0.0 if len(alike) == len(documents) - 1 else resplits(documents)
    by_ratio = {ratio: summarise(documents, ratio, resplit) for ratio in documents[0]["results"]}
    document = {
        "schema_version": results.REPLICATES_VERSION,
        "dataset": settings.dataset,
        **({"ablation": settings.ablation} if settings.ablation else {}),
        **({"trial": trial} if trial else {}),
        "replicates": settings.replicates,
        "same_rows": [list(pair) for pair in alike],
        "resplit": resplit,
        "ceilings": results.ceilings(documents[0]["config"], documents[0]["results"][next(iter(by_ratio))]),
        "config_sha256": [d["config_sha256"] for d in documents],
        "results": {ratio: found["methods"] for ratio, found in by_ratio.items()},
        "empty_groups": {ratio: found["empty_groups"] for ratio, found in by_ratio.items()},
        "comparisons": {ratio: found["comparison"] for ratio, found in by_ratio.items()},
    }
    schemas.check(document, schemas.published("replicates"), "replicates.json")
    lineage.write_json(files.replicates, document)
    print(terminal_table(document, trial))
