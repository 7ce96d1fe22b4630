"""`fairgen push`: an exported folder to a repository at a hub: shown first, sent with --go, private unless
it is said otherwise.

The token is the one of `hf auth login` or of HF_TOKEN, which huggingface_hub reads by itself.
"""

import re
import sys
import zipfile
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairgen.commands.exports import card, public, record, repository
from fairgen.commands.exports.card_faults import card_faults, gaps, licence
from fairgen.commands.exports.repository import Repository
from fairgen.core.errors import FairgenError, shortened

KINDS = ("model", "dataset")
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
PICKLES = (".bin", ".ckpt", ".joblib", ".npy", ".pickle", ".pkl", ".pt", ".pth")


@dataclass(frozen=True)
class Parcel:
    """What would be sent, and what is wrong with it."""

    folder: Path
    files: list[Path]
    kind: str
    licence: str
    faults: list[str]
    gaps: list[str]


def arguments(parser: ArgumentParser) -> None:
    """The subcommand's command line."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="that `fairgen export` has written")
    parser.add_argument("repository", metavar="OWNER/NAME", help="at the hub; it is made if it is not there")
    parser.add_argument("--type", choices=KINDS, help="default: what the folder holds")
    parser.add_argument(
        "--go", action="store_true", help="send it; without, only what would be sent is shown"
    )
    parser.add_argument(
        "--public",
        action="store_true",
        help="for everybody to see; default: private. One that is there stays as it is",
    )
    parser.add_argument(
        "--foreign", action="store_true", help="also a folder, or files in it, that fairgen has not written"
    )
    parser.add_argument(
        "--keep-others",
        action="store_true",
        help="leave files in the repository that neither the folder nor an export before has",
    )


def parcel(folder: Path, options: Namespace) -> Parcel:
    """Look through a folder.

    Raises:
        FairgenError: it is none of ours, or of another type than is asked for.
    """
    if not folder.is_dir():
        raise FairgenError(f"{folder} is no folder; give one that `fairgen export` has written")
    if odd := [path.relative_to(folder) for path in files(folder) if is_odd(path)]:
        raise FairgenError("\n".join(f"{name} is no plain file; take it out" for name in odd))
    found = record.read(folder)
    if found is None and not options.foreign:
        raise FairgenError(
            f"{folder} holds no {record.RECORD}: `fairgen export` has not written it; --foreign sends it all"
            " the same"
        )
    if found is None and options.type is None:
        raise FairgenError(f"{folder}: say with --type whether it holds a {' or a '.join(KINDS)}")
    kind = options.type or (found or {})["repository"]
    if found and kind != found["repository"]:
        raise FairgenError(
            f"--type {kind}: {folder} holds a {found['kind']}, which is pushed as a {found['repository']}"
        )
    sent = [path for path in files(folder) if not path.is_symlink()]
    front = card.front_matter(folder)
    faults = [f"{name} is a link; copy what it leads to" for name in links(folder)]
    faults += [
        f"{path.relative_to(folder)} is a pickle, which can run code; leave it out"
        for path in sent
        if is_pickle(path)
    ]
    faults += public.faults(folder, sent)
    if found:
        faults += record.faults(folder, found)
        faults += [] if options.foreign else strays(folder, sent, found)
    return Parcel(
        folder, sent, kind, licence(front), [*faults, *card_faults(folder, front)], gaps(folder, kind, front)
    )


def strays(folder: Path, sent: list[Path], found: dict[str, Any]) -> list[str]:
    """Files that were not exported; pickles are told of already."""
    known = {*found["files"], record.RECORD, card.CARD}
    names = (path.relative_to(folder).as_posix() for path in sent if not is_pickle(path))
    return [
        f"{name} is not of the export ({record.RECORD} does not list it); take it out, or say --foreign"
        for name in names
        if name not in known
    ]


def files(folder: Path) -> list[Path]:
    """The files of a folder in order, without hidden ones."""
    paths = (path for path in folder.rglob("*") if not path.is_dir())
    return sorted(p for p in paths if not any(part.startswith(".") for part in p.relative_to(folder).parts))


def is_odd(path: Path) -> bool:
    """Whether something that is there is no file: reading a pipe or a device could wait for ever."""
    return path.exists() and not path.is_file() and not path.is_dir()


def links(folder: Path) -> list[Path]:
    """The links in a folder, which could lead anywhere."""
    return [path.relative_to(folder) for path in folder.rglob("*") if path.is_symlink()]


def is_pickle(path: Path) -> bool:
    """Whether a file is a pickle, by its name or its content."""
    if path.suffix.lower() in PICKLES:
        return True
    with path.open("rb") as file:
        start = file.read(2)
    if start[:1] == b"\x80" and start[1:] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return True
    if start != b"PK":
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".pkl") for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def visibility(there: Repository | None, known: bool, options: Namespace) -> str:
    """Who sees the repository, as far as is known."""
    wanted = "public" if options.public else "private"
    if not known:
        return f"{wanted} if it is new"
    if there is None:
        return f"new, {wanted}"
    if not there.private:
        return "public"
    return "private, and stays so: --public is for new ones" if options.public else "private"


def show(found: Parcel, options: Namespace, who: str, gone: list[str]) -> None:
    """Print what would be sent and deleted, and where."""
    total = sum(path.stat().st_size for path in found.files)
    print(
        f"{found.kind} {options.repository} at {repository.endpoint()} ({who}), licence:"
        f" {found.licence or 'none'}"
    )
    for path in found.files:
        print(f"  {size(path.stat().st_size):>8}  {path.relative_to(found.folder)}")
    print(f"  {size(total):>8}  in {len(found.files)} files")
    for name in gone:
        print(f"   deleted  {name} (of an export before)")
    for gap in found.gaps:
        print(f"the card: {gap}")


def looked_at(found: Parcel, options: Namespace) -> tuple[Repository | None, bool]:
    """The repository, and whether it is known; without --go it may be unknown.

    Raises:
        FairgenError: with --go nobody is logged in, or the hub refuses or cannot be reached.
    """
    try:
        return repository.look(options.repository, found.kind), True
    except FairgenError as error:
        if options.go:
            raise
        print(f"warning: what {options.repository} holds was not looked at: {error}", file=sys.stderr)
        return None, False


def refused(there: Repository, sent: set[str], options: Namespace) -> list[str]:
    """Why a repository that is there must not be changed as it was asked for."""
    told = []
    if not there.private and not options.public:
        told.append(
            f"{options.repository} is there and public; say --public if the folder may be seen by everybody"
        )
    if (strange := there.strange(sent)) and not options.keep_others:
        told.append(
            f"{options.repository} holds what neither this folder nor an export before has:"
            f" {shortened(', '.join(strange), 400)}; delete them there, or say --keep-others"
        )
    return told


def run(options: Namespace) -> None:
    """Show what would be sent, and send it with --go.

    Raises:
        FairgenError: the folder must not be sent as it is, or not there, with a line for each reason, or the
            hub refuses.
    """
    if not REPOSITORY.fullmatch(options.repository):
        raise FairgenError(f"{options.repository} is no repository of a hub; give OWNER/NAME")
    found = parcel(options.folder, options)
    if found.faults:
        show(found, options, visibility(None, False, options), [])
        raise FairgenError("\n".join(dict.fromkeys(found.faults)))
    there, known = looked_at(found, options)
    sent = {path.relative_to(found.folder).as_posix(): path for path in found.files}
    gone = there.old(set(sent)) if there else []
    show(found, options, visibility(there, known, options), gone)
    if there and (told := refused(there, set(sent), options)):
        raise FairgenError("\n".join(told))
    if options.go:
        print(repository.commit(options.repository, found.kind, there, options.public, sent, gone))
    else:
        print("nothing was sent; --go sends it")
