"""The files below a data set's folder, and how the rows of a label table find theirs.

A row's file lies at the path that the table says. Leading folders may be missing in the table, or in the
folder, but only the same ones for all rows: a row whose file is gone must never get the file of another row.
"""

import os
import stat
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path, PurePosixPath

from fairgen.core.errors import shortened
from fairgen.data.formats import Reject, Row, composed, split_of_folder

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif")
JUNK = {"thumbs.db", ".ds_store", "desktop.ini"}
Folders = tuple[str, str]  # leading folders that a table's paths have and the files lack, and the reverse
SAME: Folders = ("", "")


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a label table: where it stands, the path that it names, and what it says of that file."""

    where: str
    name: str
    attributes: dict[str, str]
    split: str = ""
    detail: dict[str, str] = field(default_factory=dict)


def is_junk(file: str) -> bool:
    """Whether a path belongs to the operating system or an editor, not to the data set."""
    parts = file.split("/")
    return parts[-1].lower() in JUNK or "__MACOSX" in parts or any(part.startswith(".") for part in parts)


def fence(root: Path) -> str:
    """The folder that links must not leave: the root, or that of its repository in a Hugging Face cache.

    There the files of `datasets--…/snapshots/<commit>` are links into `datasets--…/blobs`.
    """
    home = Path(os.path.realpath(root))
    kept = [place.parent for place in (home, *home.parents) if place.name == "snapshots"]
    return str(next((place for place in kept if place.name.startswith(("datasets--", "models--"))), home))


def walk(root: Path) -> Iterator[str | Reject]:
    """Every file below `root` once, as a path relative to it, in order.

    System files, links outward, what is no file, and folders that cannot be read are rejects.
    """
    unread: list[OSError] = []
    for folder, folders, names in os.walk(root, onerror=unread.append):
        folders.sort()
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in sorted([*names, *links]):
            full = os.path.join(folder, name)
            file = os.path.relpath(full, root).replace(os.sep, "/")
            why = flaw(root, full, file)
            if why or name not in links:
                yield why or file
    for error in unread:
        folder = os.path.relpath(error.filename or root, root).replace(os.sep, "/")
        yield Reject(folder, f"folder cannot be read: {error.strerror}; no file in it was")


def flaw(root: Path, full: str, file: str) -> Reject | None:
    """Why a path is not read as a file of the data set."""
    try:
        kind = os.lstat(full).st_mode
        if stat.S_ISLNK(kind):
            if not os.path.realpath(full).startswith(fence(root) + os.sep):
                return Reject(file, "path leaves the data set's folder: a symbolic link outward")
            kind = os.stat(full).st_mode
    except OSError as error:
        return Reject(file, f"file cannot be read: {error.strerror}")
    if is_junk(file):
        return Reject(file, "not an image: a system file", malformed=False)
    if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
        return Reject(file, "not an image: a pipe, socket or device")  # reading it would never end
    return None


def leaves_root(name: str) -> bool:
    """Whether a path in a label table points out of the data set's folder."""
    return (
        name.startswith(("/", "\\", "~"))
        or ".." in PurePosixPath(name.replace("\\", "/")).parts
        or name[1:2] == ":"
    )


def normal(name: str) -> str:
    """A path of a table as `walk` writes paths."""
    return "/".join(part for part in name.replace("\\", "/").strip().split("/") if part not in ("", "."))


def begin(one: list[str], other: list[str]) -> list[str]:
    """The folders that both paths begin with."""
    return [a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))]


class Files:
    """The files of a data set with label tables; `rows` takes those of one table, `rest` lists what no table
    named.
    """

    def __init__(self, root: Path, tables: Iterable[str]):
        found, labels = list(walk(root)), set(tables)
        self.rejects = [one for one in found if isinstance(one, Reject)]
        there = [one for one in found if isinstance(one, str) and one not in labels]
        # by their names as most tables have them, but those that differ in form alone by their own
        forms = Counter(map(composed, there))
        self.files = {composed(one) if forms[composed(one)] == 1 else one: one for one in there}
        self.taken: set[str] = set()
        self.by_tail: dict[int, dict[str, list[str]]] = {}

    def key(self, name: str) -> str:
        """The name in a table as files go by."""
        found = normal(name)
        return found if found in self.files else composed(found)

    def tails(self, depth: int) -> dict[str, list[str]]:
        """The files that lie deeper than `depth` parts, by the last `depth` parts of their paths."""
        if depth not in self.by_tail:
            self.by_tail[depth] = defaultdict(list)
            for file in self.files:
                parts = file.split("/")
                if len(parts) > depth:
                    self.by_tail[depth]["/".join(parts[-depth:])].append(file)
        return self.by_tail[depth]

    def fitting(self, name: str, split: str) -> dict[str, Folders]:
        """The files that a row of some split may mean by `name`, each with the leading folders that differ.

        A split's folder is never left out, nor is one of another split put in front; that of the row's own is
        `*`.
        """
        parts, found = name.split("/"), {name: SAME} if name in self.files else {}
        for start in range(1, len(parts)):
            short = "/".join(parts[start:])
            if short in self.files and not any(map(split_of_folder, parts[:start])):
                found[short] = ("/".join(parts[:start]), "")
        for file in self.tails(len(parts)).get(name, ()):
            folders = file.split("/")[: -len(parts)]
            if not split or {split_of_folder(folder) for folder in folders} <= {"", split}:
                found[file] = ("", "/".join("*" if split and split_of_folder(f) else f for f in folders))
        return found

    def alike(self, entries: Iterable[Entry]) -> Folders:
        """The leading folders that differ between a table's paths and the files: what holds for most of its
        rows.
        """
        counts: Counter[Folders] = Counter()
        common: list[str] | None = None
        for entry in entries:
            name = self.key(entry.name)
            found = {SAME} if name in self.files else set(self.fitting(name, entry.split).values())
            counts.update(found)
            if found:
                folders = name.split("/")[:-1]
                common = folders if common is None else begin(common, folders)
        # folders that begin every path: others are not missing for all rows
        shared = "/".join(common or []) + "/"
        allowed = [f for f in sorted(counts) if not f[0] or shared.startswith(f"{f[0]}/")]
        return max(allowed, key=lambda folders: (counts[folders], folders == SAME), default=SAME)

    def rows(self, entries: Callable[[], Iterable[Entry | Reject]]) -> Iterator[Row | Reject]:
        """The rows of one table, which is read twice: first to see where the files lie, then to take them."""
        folders = self.alike(e for e in entries() if isinstance(e, Entry) and not leaves_root(e.name))
        for entry in entries():
            yield entry if isinstance(entry, Reject) else self.take(entry, folders)

    def take(self, entry: Entry, folders: Folders) -> Row | Reject:
        """The row of a labelled file, or why there is none; `folders` are the leading ones that differ for
        all rows.
        """
        here, name = f"{entry.where}: {shortened(entry.name)}", self.key(entry.name)
        if leaves_root(entry.name):
            return Reject(
                here, "path leaves the data set's folder: a label table may only name files below it"
            )
        exact = name in self.files
        found = {name: SAME} if exact and folders == SAME else self.fitting(name, entry.split)
        if len(found) > 1:
            return Reject(
                here,
                f"row with several files that fit: {', '.join(sorted(found)[:3])}; keep one, or name its"
                " folders",
            )
        file = next((f for f, own in found.items() if own in (SAME, folders)), None)
        if file is None:
            return Reject(
                here, f"row without its file: no such image lies below the folder{self.namesake(name)}"
            )
        self.taken.add(file)
        return Row(self.files[file], entry.attributes, entry.split, entry.detail, here)

    def namesake(self, name: str) -> str:
        """A file elsewhere that is called the same, as a hint."""
        last = name.rpartition("/")[2]
        other = last if last in self.files else next(iter(self.tails(1).get(last, ())), None)
        return f"; {other} is called the same, but the other rows' files do not lie so" if other else ""

    def rest(self) -> Iterator[Reject]:
        """Files that no row named, and what `walk` rejected."""
        yield from self.rejects
        for file in sorted(self.files[name] for name in self.files.keys() - self.taken):
            yield Reject(file, "file without its row: no label table names it", malformed=False)
