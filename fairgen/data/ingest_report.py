"""The audit of an index: what was read, what was left out and why, what was converted, and which images
repeat.

`audit.json` is for programs; the page (`audit.md`) says the same for a reader.
"""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from fairgen.core import lineage, places
from fairgen.core.image_notes import SCALED
from fairgen.core.markdown import clean, table
from fairgen.data.duplicates import NEAR, groups_of, is_large, labels_of
from fairgen.data.formats import Reject
from fairgen.data.subset import SPLITS

EXAMPLES = 5
# images of a group below which one of them moves its accuracy by more than ten points
FEW = 10
Rows = list[dict[str, Any]]


def summarise(
    dataset: str, root: str, total: int, seen: Rows, rows: Rows, rejects: list[Reject], groups: list[str]
) -> dict[str, Any]:
    """Everything that the audit says.

    Args:
        dataset: its name.
        root: its folder.
        total: files and rows that were read.
        seen: every image that was decoded, with its labels and duplicate set.
        rows: the indexed ones among them, with group and split.
        rejects: what was left out.
        groups: names of all groups in the config.
    """
    counts = Counter((r["split"], r["group"]) for r in rows)
    malformed = sum(r.malformed for r in rejects)
    by_split = {split: {group: counts[split, group] for group in groups} for split in splits_of(rows)}
    return {
        "dataset": dataset,
        "root": root,
        "read": total,
        "indexed": len(rows),
        "left_out": {"malformed": malformed, "not_asked_for": len(rejects) - malformed},
        "counts": by_split,
        "empty": without_rows(by_split),
        "rejects": reasons(rejects),
        "outside": dict(Counter(reason_value(r) for r in rejects if reason_value(r)).most_common()),
        "conversions": dict(Counter(note for r in rows for note in r["notes"]).most_common()),
        "identical": sets_of(seen, "hash"),
        "near_identical": sets_of(seen, "set"),
        "across_splits": straddling(rows),
    }


def splits_of(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    """The splits that are counted: the three that every data set has, and `shift` where there is one."""
    there = any(r["split"] == "shift" for r in rows)
    return tuple(split for split in SPLITS if split != "shift" or there)


def without_rows(counts: dict[str, dict[str, int]]) -> dict[str, list[str]]:
    """The groups that have no image in a split, by split."""
    empty = {split: [group for group, n in by_group.items() if not n] for split, by_group in counts.items()}
    return {split: groups for split, groups in empty.items() if groups}


def reasons(rejects: list[Reject]) -> list[dict[str, Any]]:
    """Rejects by kind of reason, the most frequent first, with examples."""
    kinds: dict[tuple[str, bool], list[Reject]] = defaultdict(list)
    for reject in rejects:
        kinds[reject.reason.split(":")[0], reject.malformed].append(reject)
    return [
        {
            "reason": kind,
            "count": len(found),
            "malformed": malformed,
            "examples": [{"file": r.file, "reason": r.reason} for r in found[:EXAMPLES]],
        }
        for (kind, malformed), found in sorted(kinds.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def reason_value(reject: Reject) -> str:
    """The value that a reject has and the config does not ask for; "" for other rejects."""
    kind, _, rest = reject.reason.partition(": ")
    if kind.endswith("in no value of the config"):
        return f"{kind.split(' ')[0]} {rest.split(' (asked for')[0]}"
    return rest if kind.startswith("no group in the config") else ""


def repeated(rows: Rows, key: str) -> list[Rows]:
    """Rows that share a value of `key` with others, set by set."""
    return [[rows[i] for i in same] for same in groups_of(row[key] for row in rows)]


def sets_of(rows: Rows, key: str) -> dict[str, Any]:
    """Sets of images with the same `key`: how many, of how many images, and which of them have different
    labels.
    """
    several = repeated(rows, key)
    clash = [found for found in several if len(labels_of(found)) > 1]
    return {
        "sets": len(several),
        "images": sum(map(len, several)),
        "largest": max(map(len, several), default=0),
        "conflicting_sets": len(clash),
        "conflicting_images": sum(map(len, clash)),
        "conflicting": [{"files": [r["path"] for r in found], "labels": labels_of(found)} for found in clash],
    }


def straddling(rows: Rows) -> dict[str, Any]:
    """Sets of duplicates in more than one split: none where fairgen makes the splits, some in official
    ones.
    """
    found = [s for s in repeated(rows, "set") if len({r["split"] for r in s}) > 1]
    examples = [[f"{r['path']} ({r['split']})" for r in s] for s in found[:EXAMPLES]]
    return {"sets": len(found), "images": sum(map(len, found)), "examples": examples}


def warnings(audit: dict[str, Any]) -> list[str]:
    """What a user should know although the run goes on."""
    found, outside = [], audit["outside"]
    for split, groups in audit["empty"].items():
        found.append(
            f"no {split} image of {', '.join(groups)}: figures of these groups will be missing or mean"
            " nothing"
        )
    for split in ("validation", "test"):
        if few := [f"{group} ({n})" for group, n in audit["counts"][split].items() if 0 < n < FEW]:
            found.append(f"few {split} images of {', '.join(few)}: one image moves a group's accuracy by 1/n")
    if few := [f"{group} ({n})" for group, n in audit["counts"]["train"].items() if 0 < n < FEW]:
        found.append(f"few training images of {', '.join(few)}: a generator of their own would repeat them")
    if len(scales := {note: n for note, n in audit["conversions"].items() if note.startswith(SCALED)}) > 1:
        listed = "; ".join(f"{n} × {note}" for note, n in scales.items())
        found.append(
            f"images of more than 8 bits are scaled each by its own largest value, differently ({listed}), so"
            " that one grey is brighter in some than in others; scale all of them to 8 or 16 bits alike"
        )
    if is_large(largest := audit["near_identical"]["largest"], audit["indexed"]):
        found.append(
            f"{largest} images are one set of (near-)identical ones and stay in one split; are they"
            " different pictures, lower index.near"
        )
    if malformed := [f"{r['count']} × {r['reason']}" for r in audit["rejects"] if r["malformed"]]:
        found.append(
            f"{audit['left_out']['malformed']} files or rows are malformed and left out:"
            f" {'; '.join(malformed)}"
        )
    across, clash = audit["across_splits"], audit["identical"]
    if outside:
        named = ", ".join(f"{value} ({n})" for value, n in list(outside.items())[:EXAMPLES])
        more = f" and {len(outside) - EXAMPLES} more values" if len(outside) > EXAMPLES else ""
        found.append(
            f"{sum(outside.values())} images have a value that no group of the config has: {named}{more}"
        )
    if across["sets"]:
        found.append(
            f"{across['sets']} sets of (near-)identical images stand in more than one official split; they"
            " are kept"
        )
    if clash["conflicting_sets"]:
        found.append(
            f"{clash['conflicting_sets']} sets of identical images have conflicting labels, see the audit"
        )
    return found


def page(audit: dict[str, Any]) -> str:
    """The audit as one Markdown page."""
    left, counts = audit["left_out"], audit["counts"]
    parts = [
        f"# Audit of {clean(audit['dataset'])}",
        f"Folder `{clean(places.text(audit['root']))}`: {audit['read']} files or rows read,"
        f" {audit['indexed']} indexed, {left['malformed']} malformed, {left['not_asked_for']} left out for"
        " other reasons.",
        "## Images per group and split",
        table(("group", *counts), ([g, *(by[g] for by in counts.values())] for g in counts["train"])),
        *left_out(audit),
        *repeated_images(audit),
    ]
    return "\n\n".join(parts) + "\n"


def left_out(audit: dict[str, Any]) -> list[str]:
    """Groups without rows, what is left out and why, and what was converted."""
    parts: list[str] = []
    if empty := without_rows(audit["counts"]):
        lines = ((split, ", ".join(groups)) for split, groups in empty.items())
        parts += ["## Groups without rows", table(("split", "groups"), lines)]
    if audit["rejects"]:
        columns = ("files", "", "reason", "for example")
        parts += ["## Left out", table(columns, map(reject_row, audit["rejects"]))]
    if audit["outside"]:
        outside = ((n, value) for value, n in list(audit["outside"].items())[:30])
        parts += ["## Values without a group in the config", table(("images", "value"), outside)]
    if audit["conversions"]:
        converted = ((n, what) for what, n in audit["conversions"].items())
        parts += ["## Unusual images that are used", table(("images", "what"), converted)]
    return parts


def reject_row(reason: dict[str, Any]) -> tuple[int, str, str, str]:
    """One reason's line in the table of what is left out."""
    files = "; ".join(example["file"] for example in reason["examples"][:3])
    return reason["count"], "malformed" if reason["malformed"] else "", reason["reason"], files


def repeated_images(audit: dict[str, Any]) -> list[str]:
    """Identical and near-identical images: how many, which have different labels, and which stand in several
    splits.
    """
    same, near, across = (audit[key] for key in ("identical", "near_identical", "across_splits"))
    columns = ("sets", "images", "conflicting_sets")
    rows = [("identical", *map(same.get, columns)), ("identical or nearly so", *map(near.get, columns))]
    parts = ["## Repeated images", table(("", "sets", "images", "sets with conflicting labels"), rows)]
    known = [found["files"] for found in same["conflicting"]]
    used = "left out" if any(r["reason"].startswith(NEAR) for r in audit["rejects"]) else "used"
    titles = {
        "Identical images with conflicting labels": same["conflicting"],
        f"Similar images with different labels ({used})": [
            found for found in near["conflicting"] if found["files"] not in known
        ],
    }
    for title, sets in titles.items():
        if sets:
            lines = (("; ".join(found["labels"]), ", ".join(found["files"])) for found in sets)
            parts += [f"### {title}", table(("labels", "files"), lines)]
    if across["sets"]:
        parts += [
            f"### Across official splits\n\n{across['sets']} sets ({across['images']} images) stand in more"
            " than one split.",
            table(("for example",), ((", ".join(e),) for e in across["examples"])),
        ]
    return parts


def write(audit: dict[str, Any], text: str, file: Path, page_file: Path) -> None:
    """Store both forms."""
    lineage.write_json(file, audit)
    lineage.write_text(page_file, text)
