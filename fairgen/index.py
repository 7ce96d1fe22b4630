"""Stage `index`: read the user's files into one table; every file ends in the index or, with its reason, in the rejects.

Images are decoded fully here, so a truncated file is found before any training. Byte-identical images never straddle
the splits that fairgen makes, and identical images with conflicting labels are left out.
"""

import hashlib
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
from PIL import UnidentifiedImageError
from tqdm import tqdm

from fairgen import formats, images, job, tables
from fairgen.errors import FairgenError
from fairgen.formats import Reject, Row
from fairgen.seeds import seed_of


@dataclass(frozen=True)
class GroupLabel:
    """The labels of one group."""

    target: str
    bias: str


@dataclass(frozen=True)
class Index:
    """Where the files are, which groups they form, and how splits are made where the data set has none."""

    format: str
    root: str
    options: dict[str, Any]
    groups: dict[str, GroupLabel]
    max_rejected: float  # share of malformed files over which the run stops
    fractions: tuple[float, float, float]  # train, validation, test
    seed: int


def inspect(root: Path, row: Row) -> tuple[dict[str, Any] | None, Reject | None]:
    """Decode one image: its size and content hash, or the reason why it is left out."""
    try:
        content = images.contents(root, [row.path])[0] if "#" not in row.path else row.path.encode()
        decoded = None if "#" in row.path else images.decode(content)
    except UnidentifiedImageError:
        return None, Reject(row.path, "not an image: its content is of no known image format")
    except (OSError, ValueError, SyntaxError, ArithmeticError) as error:
        return None, Reject(row.path, f"image cannot be decoded: {error}")
    width, height = decoded.size if decoded else (0, 0)
    return {**asdict(row), "width": width, "height": height, "hash": hashlib.sha256(content).hexdigest()}, None


def inspect_shards(root: Path, rows: list[Row]) -> list[tuple[dict[str, Any], None]]:
    """The same for rows of Parquet files of images, each file read once."""
    found = []
    for row, content in zip(rows, images.contents(root, [r.path for r in rows]), strict=True):
        width, height = images.decode(content).size
        facts = {"width": width, "height": height, "hash": hashlib.sha256(content).hexdigest()}
        found.append(({**asdict(row), **facts}, None))
    return found


def name_groups(rows: list[dict[str, Any]], groups: dict[str, GroupLabel]) -> tuple[list[dict[str, Any]], list[Reject]]:
    """Add each row's group and id; rows of no group are rejected."""
    names = {(g.target, g.bias): name for name, g in groups.items()}
    kept, rejects = [], []
    for row in rows:
        group = names.get((row["target"], row["bias"]))
        if group is None:
            rejects.append(Reject(row["path"], f"no group in the config has target {row['target']}, bias {row['bias']}", False))
        else:
            kept.append({"id": seed_of(row["path"]), **row, "group": group})
    return kept, rejects


def drop_conflicts(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[Reject]]:
    """Leave out byte-identical images that stand in different groups."""
    groups = defaultdict(set)
    for row in rows:
        groups[row["hash"]].add(row["group"])
    clash = {h: sorted(g) for h, g in groups.items() if len(g) > 1}
    rejects = [
        Reject(r["path"], f"identical image with conflicting labels: {', '.join(clash[r['hash']])}", False)
        for r in rows
        if r["hash"] in clash
    ]
    return [r for r in rows if r["hash"] not in clash], rejects


def assign_splits(rows: list[dict[str, Any]], fractions: tuple[float, float, float], seed: int) -> None:
    """Fill in the split of rows without an official one: stratified by group, whole sets of identical images together."""
    sets = defaultdict(dict)
    for row in rows:
        if not row["split"]:
            sets[row["group"]].setdefault(row["hash"], []).append(row)
    for group, by_hash in sets.items():
        order = sorted(by_hash, key=lambda h: seed_of(seed, group, h))
        edges = (fractions[0] * len(order), (fractions[0] + fractions[1]) * len(order))
        for i, key in enumerate(order):
            split = "train" if i < round(edges[0]) else "validation" if i < round(edges[1]) else "test"
            for row in by_hash[key]:
                row["split"] = split


def check(rows: list[dict[str, Any]], rejects: list[Reject], settings: Index) -> None:
    """Stop when too much is malformed or a group is empty."""
    bad = [r for r in rejects if r.malformed]
    total = len(rows) + len(rejects)
    if not total:
        raise FairgenError(f"{settings.root}: no files found; expected {formats.reader(settings.format).LAYOUT}")
    if len(bad) > settings.max_rejected * total:
        reasons = Counter(r.reason.split(":")[0] for r in bad).most_common(5)
        listed = "; ".join(f"{n} × {reason}" for reason, n in reasons)
        raise FairgenError(
            f"{settings.root}: {len(bad)} of {total} files are malformed, over index.max_rejected = {settings.max_rejected}:"
            f" {listed}; mend the files or raise index.max_rejected"
        )
    present = Counter(r["group"] for r in rows)
    for name, group in settings.groups.items():
        if not present[name]:
            raise FairgenError(
                f"group {name} is empty: no usable image under {settings.root} has target {group.target} and bias"
                f" {group.bias}; check the groups of this data set in the config"
            )


def work(settings: Index, paths: SimpleNamespace) -> None:
    """Read, decode, group, split, and write index and rejects."""
    root = Path(settings.root)
    if not root.is_dir():
        raise FairgenError(f"{root}: no such folder; expected {formats.reader(settings.format).LAYOUT}")
    read = list(formats.rows(settings.format, root, settings.options))
    labelled = [r for r in read if isinstance(r, Row)]
    rejects = [r for r in read if isinstance(r, Reject)]
    files, packed = [r for r in labelled if "#" not in r.path], [r for r in labelled if "#" in r.path]
    with ThreadPoolExecutor() as pool:
        decoded = pool.map(lambda row: inspect(root, row), files)
        inspected = list(tqdm(decoded, total=len(files), desc="index", disable=None)) + inspect_shards(root, packed)
    rejects += [reject for _, reject in inspected if reject]
    rows, strangers = name_groups([row for row, _ in inspected if row], settings.groups)
    rows, clashes = drop_conflicts(rows)
    rejects += strangers + clashes
    check(rows, rejects, settings)
    assign_splits(rows, settings.fractions, settings.seed)
    for reject in rejects:
        job.log.debug("left out %s: %s", reject.file, reject.reason)
    job.log.info("%d images indexed, %d left out", len(rows), len(rejects))
    tables.write(paths.index, pa.Table.from_pylist(rows), {"root": str(root)})
    fields = {"file": pa.string(), "reason": pa.string(), "malformed": pa.bool_()}
    tables.write(paths.rejects, pa.Table.from_pylist([asdict(r) for r in rejects], schema=pa.schema(fields)))


if __name__ == "__main__":
    job.main(work, Index, reads=["drawings*"], writes=["index", "rejects"])
