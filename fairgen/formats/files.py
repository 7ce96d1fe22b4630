"""The files below a data set's folder, and how the rows of a label table find theirs."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from fairgen.formats import Reject, Row

JUNK = {"thumbs.db", ".ds_store", "desktop.ini"}


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
    """Every file below `root` once, as a path relative to it, in order; system files and links outward are rejects."""
    home = fence(root)
    for folder, folders, names in os.walk(root):
        folders.sort()
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in sorted([*names, *links]):
            full = os.path.join(folder, name)
            file = os.path.relpath(full, root).replace(os.sep, "/")
            if os.path.islink(full) and not os.path.realpath(full).startswith(home + os.sep):
                yield Reject(file, "path leaves the data set's folder: a symbolic link outward")
            elif is_junk(file):
                yield Reject(file, "not an image: a system file", malformed=False)
            elif name not in links:
                yield file


def leaves_root(name: str) -> bool:
    """Whether a path in a label table points out of the data set's folder."""
    return name.startswith(("/", "\\", "~")) or ".." in PurePosixPath(name.replace("\\", "/")).parts or name[1:2] == ":"


class Files:
    """The files of a data set with a label table; `find` takes them one by one, `rest` lists what no row named."""

    def __init__(self, root: Path, tables: Iterable[str]):
        self.by_name: dict[str, list[str]] = defaultdict(list)
        self.rejects: list[Reject] = []
        self.taken: set[str] = set()
        labels = set(tables)
        for found in walk(root):
            if isinstance(found, Reject):
                self.rejects.append(found)
            elif found not in labels:
                self.by_name[found.rsplit("/", 1)[-1]].append(found)

    def find(self, name: str) -> str | None:
        """The file that a table calls `name`: at that path, deeper down, or without some of its leading folders."""
        parts = name.replace("\\", "/").strip().removeprefix("./").split("/")
        same = self.by_name.get(parts[-1], [])
        for start in range(len(parts)):
            wanted = "/".join(parts[start:])
            hits = [file for file in same if file == wanted or file.endswith("/" + wanted)]
            if hits:
                return min(hits, key=lambda file: (file.count("/"), file))
        return None

    def take(self, name: str, where: str, attributes: dict[str, str], split: str = "", detail: str = "") -> Row | Reject:
        """The row of a labelled file, or why there is none; `where` names the row in its table."""
        here = f"{where}: {name}"
        if leaves_root(name):
            return Reject(here, "path leaves the data set's folder: a label table may only name files below it")
        file = self.find(name)
        if file is None:
            return Reject(here, "row without its file: no such image lies below the folder")
        if file in self.taken:
            return Reject(here, "row for a file that an earlier row names: the first one counts")
        self.taken.add(file)
        return Row(file, attributes, split, detail)

    def rest(self) -> Iterator[Reject]:
        """Files that no row named, and what `walk` rejected."""
        yield from self.rejects
        for file in sorted(f for files in self.by_name.values() for f in files if f not in self.taken):
            yield Reject(file, "file without its row: no label table names it", malformed=False)
