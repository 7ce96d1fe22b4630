"""A synthetic set as a folder of Hugging Face `datasets`: Parquet shards of images with their labels and
origins, a card, and its description in Croissant.

`datasets.load_dataset(FOLDER)` opens it. The images are the bytes that were drawn; what the filter has left
out is a split of its own, on request.
"""

import json
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fairgen.commands.exports import card, croissant, dataset_card, record
from fairgen.core import lineage, parquet, places, records, schemas
from fairgen.core.belonging import Belonging
from fairgen.core.errors import FairgenError

KEPT, REJECTED = "train", "rejected"  # names of the splits
SHARD = 500 << 20  # bytes of images in a file, as the hub likes them
COLUMNS = (
    *("id", "cluster", "prompt", "negative_prompt", "seed", "steps", "guidance"),
    *("base", "adapter_hash", "borrowed_from", "borrowed_guidance"),
)
LABELS = ("group", "target", "bias")
ANY = "any"  # the folder of what no ratio, and so no index, changes
AGAIN = "give the selection.parquet of a finished run, from the folder that the run was started in"


COUNTS = {"kept": {"type": "integer"}, "sampled": {"type": "integer"}, "accepted": {"type": "number"}}
FACTS: dict[str, Any] = {  # of a selection
    "type": "object",
    "properties": {
        "groups": {
            "type": "object",
            "additionalProperties": {"type": "object", "properties": COUNTS, "required": [*COUNTS]},
        },
        "samples": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}


@dataclass(frozen=True)
class Labels:
    """Class and bias value of each group, in the config's order."""

    groups: dict[str, dict[str, str]]  # group → target, bias

    def names(self, column: str) -> list[str]:
        """The values of a label column, each once."""
        if column == "group":
            return list(self.groups)
        return list(dict.fromkeys(own[column] for own in self.groups.values()))


@dataclass(frozen=True)
class Set:
    """A synthetic set: what is said of every image, and where the images lie."""

    selection: Path
    rows: list[dict[str, Any]]  # of the selection, with the number of each image in its file
    labels: Labels
    facts: dict[str, Any]
    size: int


def about(options: Namespace) -> Set:
    """Read a selection and what belongs to it.

    Raises:
        FairgenError: it is none, its samples are not those that were selected from, or the index beside it is
            missing.
    """
    path: Path = options.source
    if not path.is_file():
        raise FairgenError(f"{path}: no such file; {AGAIN}")
    facts = parquet.facts(path)
    if not {"groups", "samples"} <= facts.keys() or "kept" not in parquet.schema(path).names:
        raise FairgenError(f"{path} is no selection of synthetic images; {AGAIN}")
    if wrong := schemas.problems(facts, FACTS, str(path)):
        raise FairgenError(f"{wrong[0]}: the file was changed; {AGAIN}")
    rows = parquet.rows(path)
    missing = [file for file in dict.fromkeys(row["file"] for row in rows) if not Path(file).is_file()]
    if missing:
        raise FairgenError(f"{path}: its images are missing ({missing[0]}); {AGAIN}")
    lineage.check_files(facts["samples"])
    said = parquet.schema(Path(rows[0]["file"])).names
    if lost := [name for name in COLUMNS if name not in said]:
        raise FairgenError(
            f"{rows[0]['file']} does not say {', '.join(lost)} of its images: an earlier version has drawn"
            " them; run the workflow again"
        )
    own = belongs(path)
    for file in dict.fromkeys(row["file"] for row in rows):
        own.known(Path(file))
    counts: dict[str, int] = {}
    for row in rows:
        row["number"] = counts[row["file"]] = counts.get(row["file"], -1) + 1
    if not any(row["kept"] for row in rows):
        raise FairgenError(f"{path}: the filter has kept no image, so there is nothing to export")
    return Set(path, rows, labels(path, list(facts["groups"])), facts, first_size(rows))


def labels(path: Path, groups: list[str]) -> Labels:
    """Class and bias value of each group, from the index of the data set that the selection is for.

    Raises:
        FairgenError: it is not there, is of another config or state of the data, or does not know a group.
    """
    index = path.absolute().parents[2] / "index.parquet"
    if not index.is_file():
        raise FairgenError(f"{index} is missing, which says the class and bias value of each group; {AGAIN}")
    check_index(path, index)
    settings = (records.read(index) or {}).get("settings", {})
    found = {row["group"]: row for row in parquet.rows(index, ["group", "target", "bias"])}
    found |= settings.get("groups", {})  # those without a real image, too
    if lost := [group for group in groups if group not in found]:
        raise FairgenError(f"{index} does not know group {lost[0]} of {path}; {AGAIN}")
    return Labels({g: {"target": str(found[g]["target"]), "bias": str(found[g]["bias"])} for g in groups})


def belongs(path: Path) -> Belonging:
    """What a selection records."""
    return Belonging(path, records.read(path) or {})


def check_index(path: Path, index: Path) -> None:
    """The index is that of the selection.

    What the base draws comes of prompts alone and knows no index; its audit and the comparison do, which were
    made from both.

    Raises:
        FairgenError: it is of another config, code or state of the data.
    """
    own = belongs(path)
    if path.absolute().parents[1].name != ANY:
        own.known(index)
        return
    others = [belongs(file) for file in (path.with_name("audit.json"), index.with_name("worst_group.json"))]
    made = [one for one in others if own.record.get("hash") in (one.sources or ())]
    if made and not any(one.knows(index) for one in made):
        made[0].known(index)


def first_size(rows: list[dict[str, Any]]) -> int:
    """Side of the pictures in pixels; all of a set have one."""
    from fairgen.core import image_decoding

    ((_, content),) = parquet.image_bytes(Path(rows[0]["file"]), [0])
    return image_decoding.decode(content or b"").width


def features(found: Set) -> dict[str, Any]:
    """The columns as `datasets` calls them."""
    drawn = parquet.schema(Path(found.rows[0]["file"]))
    plain = {name: {"dtype": kind_name(drawn.field(name).type), "_type": "Value"} for name in COLUMNS}
    named = {name: {"names": found.labels.names(name), "_type": "ClassLabel"} for name in LABELS}
    last = {"score": "float64", "kept": "bool", "reason": "string"}
    return {
        "image": {"_type": "Image"},
        **named,
        **plain,
        **{name: {"dtype": dtype, "_type": "Value"} for name, dtype in last.items()},
    }


def kind_name(kind: pa.DataType) -> str:
    """A type as `datasets` calls it."""
    return {"double": "float64"}.get(str(kind), str(kind))


def schema(described: dict[str, Any]) -> pa.Schema:
    """The columns as Arrow has them, with what `datasets` reads in the metadata."""
    fields = [
        (name, parquet.IMAGE if own["_type"] == "Image" else pa.int64())
        if own["_type"] != "Value"
        else (name, pa.type_for_alias(own["dtype"]))
        for name, own in described.items()
    ]
    return pa.schema(
        fields, metadata={b"huggingface": json.dumps({"info": {"features": described}}).encode()}
    )


def split_rows(found: Set, kept: bool) -> Iterator[dict[str, Any]]:
    """The images of a split with their columns, group by group."""
    wanted: dict[str, dict[int, dict[str, Any]]] = {}
    for row in found.rows:
        if row["kept"] == kept:
            wanted.setdefault(row["file"], {})[row["number"]] = row
    classes = {name: {value: i for i, value in enumerate(found.labels.names(name))} for name in LABELS}
    for file, own in wanted.items():
        origins = parquet.rows(Path(file), list(COLUMNS))
        for number, content in parquet.image_bytes(Path(file), list(own)):
            row, origin = own[number], origins[number]
            if row["id"] != origin["id"]:
                raise FairgenError(
                    f"{file}: row {number} is {origin['id']}, not {row['id']}; run the workflow again"
                )
            values = {"group": row["group"], **found.labels.groups[row["group"]]}
            yield {
                "image": {"bytes": content, "path": None},
                **{name: classes[name][values[name]] for name in LABELS},
                **{**origin, "base": places.base(origin["base"])},
                **{name: row[name] for name in ("score", "kept", "reason")},
            }


def write_split(folder: Path, name: str, found: Set, columns: pa.Schema) -> int:
    """Write a split's shards; returns its number of rows."""
    shards, count, size = [folder / f"{name}-0.parquet"], 0, 0
    pending: list[dict[str, Any]] = []
    writer = pq.ParquetWriter(shards[0], columns)
    try:
        for row in split_rows(found, name == KEPT):
            pending.append(row)
            count, size = count + 1, size + len(row["image"]["bytes"])
            if len(pending) == parquet.ROW_GROUP or size > SHARD:
                writer.write_table(pa.Table.from_pylist(pending, schema=columns))
                pending = []
            if size > SHARD:
                writer.close()
                shards.append(folder / f"{name}-{len(shards)}.parquet")
                writer, size = pq.ParquetWriter(shards[-1], columns), 0
        if pending:
            writer.write_table(pa.Table.from_pylist(pending, schema=columns))
    finally:
        writer.close()
    if len(shards) > 1 and not pq.read_metadata(shards[-1]).num_rows:
        shards.pop().unlink()
    for i, shard in enumerate(shards):
        shard.rename(folder / f"{name}-{i:05}-of-{len(shards):05}.parquet")
    return count


def write(options: Namespace, found: Set, place: Path) -> None:
    """The shards, the card and the description."""
    data = place / "data"
    data.mkdir(parents=True)
    described = features(found)
    splits = [KEPT, REJECTED] if options.rejected and not all(r["kept"] for r in found.rows) else [KEPT]
    counts = {name: write_split(data, name, found, schema(described)) for name in splits}
    told = dataset_card.Told(found.selection, found.rows, found.labels.groups, found.facts, found.size)
    text = dataset_card.page(told, options, described, counts)
    (place / card.CARD).write_text(text, "utf-8")
    columns = dataset_card.columns(told, described)
    description = dataset_card.summary(told)
    croissant.write(place, croissant.document(place, description, options, described, columns, splits))
    record.write(place, "dataset", options.source, "dataset", {"images": counts})


def told(options: Namespace, found: Set) -> str:
    """What was written, in a line."""
    kept = sum(row["kept"] for row in found.rows)
    more = f", {len(found.rows) - kept} rejected ones" if options.rejected else ""
    return f"{kept} images{more} of {len(found.labels.groups)} groups, for datasets.load_dataset"
