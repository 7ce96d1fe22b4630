"""Stage `index`: read the user's files into one table; every file ends in the index or, with its reason, in
the rejects.

Images are decoded fully here, in parallel, so a truncated file is found before any training. Identical and
near-identical images never straddle the splits that fairgen makes; official splits are kept, and only
reported on.
"""

import hashlib
import json
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from fairgen.core import crops, image_decoding, images, job, lineage, parquet
from fairgen.core.errors import FairgenError
from fairgen.core.progress import counted
from fairgen.core.seeds import seed_of
from fairgen.data import duplicates, formats, ingest_report, labels, split_assignment
from fairgen.data.beside import Beside
from fairgen.data.formats import Reject, composed, plain
from fairgen.data.labels import Attribute, Labelled, label

TEXTS = ("path", "target", "bias", "group", "split", "detail", "hash")
NUMBERS = {"id": pa.int64(), "set": pa.int64(), "width": pa.int32(), "height": pa.int32()}
SCHEMA = pa.schema({**dict.fromkeys(TEXTS, pa.string()), **NUMBERS, "perceptual": pa.binary()})


@dataclass(frozen=True)
class GroupLabel:
    """The labels of one group."""

    target: str
    bias: str


@dataclass(frozen=True)
class Index:
    """Where the files are, which groups they form, and how splits are made where the data set has none."""

    dataset: str
    format: str
    root: str
    options: dict[str, Any]
    target: list[Attribute]
    bias: list[Attribute]  # several are combined into one, `female+Asian`
    groups: dict[str, GroupLabel]
    max_rejected: float  # share of malformed files over which the run stops
    fractions: tuple[float, float, float]  # train, validation, test
    # bits of 256 in which the perceptual hashes of near-identical images may differ; 0 looks for identical
    # ones only
    near: int
    copies: str  # drop | keep
    conflicts: str  # drop | drop_near | keep
    seed: int
    caption: str = ""  # attribute with a caption of each image; "" for none
    box: tuple[str, ...] = ()  # attributes with the left, top, width and height of a box in it

    @property
    def beside(self) -> Beside:
        """What is read beside the labels."""
        return Beside(self.caption, self.box)


@dataclass(frozen=True)
class Files(job.Files):
    """What a job reads and writes."""

    drawings: job.Inputs
    workers: job.Value
    index: job.Output
    rejects: job.Output
    audit: job.Output
    page: job.Output


def read_labels(settings: Index) -> tuple[list[Labelled], list[Reject], dict[str, Counter]]:
    """Every file's labels, or why it has none; and the data's own words for the attributes that the config
    asks for.
    """
    words: dict[str, Counter] = {one.attribute: Counter() for one in (*settings.target, *settings.bias)}
    said: dict[str, list[tuple[str, Labelled | Reject]]] = defaultdict(list)
    labelled: list[Labelled] = []
    rejects: list[Reject] = []
    for row in formats.rows(settings.format, Path(settings.root), settings.options):
        if isinstance(row, Reject):
            rejects.append(row)
            continue
        said[row.path].append((row.where, label(row, settings.target, settings.bias, settings.beside)))
        for name, counts in words.items():
            counts[row.attribute(name)] += 1
    for file, of_file in said.items():
        found, repeats = one_of(file, of_file)
        if isinstance(found, Reject):
            rejects.append(found)
        else:
            labelled.append(found)
        rejects += repeats
    return labelled, rejects, words


def one_of(file: str, said: list[tuple[str, Labelled | Reject]]) -> tuple[Labelled | Reject, list[Reject]]:
    """What counts of all that rows of a label table say of one file, and the rows beyond the first one."""
    first, others = said[0][1], [where for where, _ in said[1:]]
    if not others:
        return first, []
    things = sorted({in_words(found) for _, found in said})
    if len(things) == 1:
        asides = [found.beside for _, found in said if isinstance(found, Labelled)]
        what = (
            "they say the same"
            if all(own == asides[0] for own in asides)
            else "the first one's caption or box counts"
        )
        return first, [Reject(where, f"row for a file that an earlier row names: {what}") for where in others]
    reason = f"rows that say different things of one file, so that none counts: {'; '.join(things)}"
    return Reject(file, reason), [Reject(where, reason) for where in others]


def in_words(found: Labelled | Reject) -> str:
    """What a row says of its file."""
    if isinstance(found, Reject):
        return "no label"
    values = duplicates.labels_in_words(found.target, found.bias)
    return f"{values} ({found.split})" if found.split else values


def inspect(row: Labelled, content: bytes | None, near: int) -> dict[str, Any] | Reject:
    """Decode one image: its size, hashes and conversions, or the reason why it is left out."""
    if not content:
        return Reject(row.path, "file is empty: it has no bytes")

    def seen() -> dict[str, Any]:
        image, notes = image_decoding.inspect(
            content, "" if images.place(row.path)[1] is not None else row.path
        )
        perceptual = duplicates.perceptual_hash(image) if near else b""
        return {"width": image.width, "height": image.height, "notes": notes, "perceptual": perceptual}

    facts = image_decoding.attempt(seen)
    if isinstance(facts, str):
        return Reject(row.path, facts)
    box, size = crops.read(row.beside.get("box", "")), (facts["width"], facts["height"])
    if box and not crops.meets(box, size):
        return Reject(
            row.path, f"box does not meet its image: {row.beside['box']} in {size[0]} x {size[1]} pixels"
        )
    known = {**asdict(row), "detail": json.dumps(row.detail, sort_keys=True), **row.beside}
    return {"id": seed_of(row.path), **known, "hash": hashlib.sha256(content).hexdigest(), **facts}


def inspect_all(
    root: Path, rows: list[Labelled], near: int, workers: int
) -> tuple[list[dict[str, Any]], list[Reject]]:
    """Decode all images, a bounded number of them at a time."""

    def one(pair: tuple[Labelled, bytes | str | None]) -> dict[str, Any] | Reject:
        row, content = pair
        if isinstance(content, str):
            return Reject(row.path, content)
        try:
            return inspect(row, (root / row.path).read_bytes() if content is None else content, near)
        except OSError as error:
            return Reject(row.path, f"file cannot be read: {error.strerror}")

    good: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    inspected = images.in_threads(one, images.encoded(root, rows, lambda row: row.path), workers)
    for found in counted(inspected, len(rows), "index", "image"):
        if isinstance(found, Reject):
            rejects.append(found)
        else:
            good.append(found)
    return good, rejects


def spelled(value: str | None) -> str:
    """A value of a group, or of a row ("" for none), in one spelling: `1` for `1.0`, one code for `ä`."""
    return "+".join(map(plain, composed(value or "").split("+")))


def name_groups(
    rows: list[dict[str, Any]], groups: dict[str, GroupLabel]
) -> tuple[list[dict[str, Any]], list[Reject]]:
    """Add each row's group; rows of no group are left out."""
    names = {(spelled(g.target), spelled(g.bias)): name for name, g in groups.items()}
    kept, rejects = [], []
    for row in rows:
        row["group"] = names.get((spelled(row["target"]), spelled(row["bias"])))
        if row["group"]:
            kept.append(row)
        else:
            nowhere = f"no group in the config: target {row['target']}, bias {row['bias']}"
            rejects.append(Reject(row["path"], row["outside"] or nowhere, malformed=False))
    return kept, rejects


def check(
    total: int,
    decoded: int,
    rows: list[dict[str, Any]],
    rejects: list[Reject],
    settings: Index,
    words: dict[str, Counter] | None = None,
) -> None:
    """Stop when too much is malformed or a group is empty; `decoded` images, and what is malformed, are what
    the labels speak of, and `words` the data's own, with their counts.
    """
    bad = [r for r in rejects if r.malformed]
    asked = decoded + len(bad)
    if not total:
        raise FairgenError(
            f"{settings.root}: no files found; expected {formats.reader(settings.format).LAYOUT}"
        )
    if len(bad) > settings.max_rejected * asked:
        reasons = Counter(r.reason.split(":")[0] for r in bad).most_common(5)
        listed = "; ".join(f"{n} × {reason}" for reason, n in reasons)
        raise FairgenError(
            f"{settings.root}: {len(bad)} of {asked} files or rows are malformed, over index.max_rejected ="
            f" {settings.max_rejected}: {listed}; mend the files or raise index.max_rejected"
        )
    present = Counter(r["group"] for r in rows)
    for name, group in settings.groups.items():
        if not present[name]:
            raise FairgenError(
                f"group {name} is empty: no usable image under {settings.root} has target {group.target} and"
                f" bias {group.bias}; the data has {labels.spoken(words or {}) or 'no labels'}: check values"
                " and groups of this data set in the config"
            )


def work(settings: Index, files: Files) -> None:
    """Read, decode, find duplicates, group, split, and write index, rejects and audit."""
    root = Path(settings.root)
    if not root.is_dir():
        raise FairgenError(f"{root}: no such folder; expected {formats.reader(settings.format).LAYOUT}")
    labelled, rejects, words = read_labels(settings)
    seen, undecodable = inspect_all(root, labelled, settings.near, int(files.workers))
    total = len(seen) + len(rejects) + len(undecodable)
    duplicates.mark_sets(seen, settings.near)
    near = settings.conflicts == "drop_near"
    rows, clashes = (seen, []) if settings.conflicts == "keep" else duplicates.conflicts(seen, near)
    rows, strangers = name_groups(rows, settings.groups)
    rows, repeats = duplicates.copies(rows) if settings.copies == "drop" else (rows, [])
    rejects += undecodable + clashes + strangers + repeats
    if rows:
        split_assignment.assign_splits(rows, settings.fractions, settings.seed)
    audit = ingest_report.summarise(
        settings.dataset, settings.root, total, seen, rows, rejects, list(settings.groups)
    )
    page = ingest_report.page(audit)
    job.log.info("audit\n%s", page)
    check(total, len(seen), rows, rejects, settings, words)
    schema = pa.schema([*SCHEMA, *((name, pa.string()) for name in settings.beside.columns())])
    images_of = sorted([row[name] for name in ("path", "hash", "target", "bias")] for row in rows)
    lineage.of_data(settings.dataset, ([row[name] for name in schema.names] for row in rows), images_of)
    for line in [*ingest_report.warnings(audit), *settings.beside.gaps(rows, settings.dataset)]:
        job.log.warning(line)
    ingest_report.write(audit, page, files.audit, files.page)
    parquet.write(
        files.index, pa.table({k: [r[k] for r in rows] for k in schema.names}, schema), {"root": str(root)}
    )
    fields = {"file": pa.string(), "reason": pa.string(), "malformed": pa.bool_()}
    parquet.write(files.rejects, pa.Table.from_pylist([asdict(r) for r in rejects], schema=pa.schema(fields)))


if __name__ == "__main__":
    job.main(work, Index, Files)
