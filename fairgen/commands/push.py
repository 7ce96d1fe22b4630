"""`fairgen push`: an exported folder to a repository at a hub: shown first, sent with --go, private unless
it is said otherwise.

The token is the one of `hf auth login` or of HF_TOKEN, which huggingface_hub reads by itself.
"""

import os
import re
import zipfile
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairgen import __version__
from fairgen.commands.exports import card, record
from fairgen.core.errors import FairgenError, shortened

KINDS = ("model", "dataset")
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
PICKLES = (".bin", ".ckpt", ".joblib", ".npy", ".pickle", ".pkl", ".pt", ".pth")
WANTED = {  # in the front matter, beside the licence
    "model": ("library_name", "pipeline_tag", "tags"),
    "dataset": ("pretty_name", "task_categories", "size_categories", "tags"),
}
GAPS = ("not stated", "not audited", "not recorded")  # how a card says that it does not know


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
    parser.add_argument("--public", action="store_true", help="for everybody to see; default: private")
    parser.add_argument("--foreign", action="store_true", help="also a folder that fairgen has not written")


def parcel(folder: Path, options: Namespace) -> Parcel:
    """Look through a folder.

    Raises:
        FairgenError: it is none of ours, or of another type than is asked for.
    """
    if not folder.is_dir():
        raise FairgenError(f"{folder} is no folder; give one that `fairgen export` has written")
    found = record.read(folder)
    if found is None and not options.foreign:
        raise FairgenError(
            f"{folder} holds no {record.RECORD}: `fairgen export` has not written it; --foreign sends it all"
            f" the same"
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
    faults += record.faults(folder, found) if found else []
    return Parcel(
        folder, sent, kind, licence(front), [*faults, *card_faults(folder, front)], gaps(folder, kind, front)
    )


def files(folder: Path) -> list[Path]:
    """The files of a folder in order, without hidden ones."""
    paths = (path for path in folder.rglob("*") if not path.is_dir())
    return sorted(p for p in paths if not any(part.startswith(".") for part in p.relative_to(folder).parts))


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


def licence(front: dict[str, Any]) -> str:
    """The licence that a card states; "" if it states none."""
    given = front.get("license")
    named = str(given[0] if isinstance(given, list) and given else given or "")
    if named == "other":
        named = (
            f"other: {front['license_name']}"
            if front.get("license_name") and front.get("license_link")
            else ""
        )
    return "" if named == card.UNKNOWN else named


def card_faults(folder: Path, front: dict[str, Any]) -> list[str]:
    """What a card must have and lacks."""
    if not (folder / card.CARD).is_file():
        return []  # a missing file of the record, or told below
    if not front:
        return [f"{card.CARD} has no front matter; write one between two lines of ---"]
    if not licence(front):
        return [
            f"{card.CARD} states no licence; write `license:` into its front matter (`other` with"
            f" license_name and"
            " license_link), or export again with --license"
        ]
    return []


def gaps(folder: Path, kind: str, front: dict[str, Any]) -> list[str]:
    """What a card should say and does not."""
    path = folder / card.CARD
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    lacking = [f"its front matter has no {name}" for name in WANTED[kind] if not front.get(name)]
    told = [line for line in lines if any(gap in line.lower() for gap in GAPS)]
    return lacking + [shortened(": ".join(cells(line)), 160) for line in told]


def cells(line: str) -> list[str]:
    """A line of a card, or the cells of a table's row."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def show(found: Parcel, options: Namespace) -> None:
    """Print what would be sent."""
    total = sum(path.stat().st_size for path in found.files)
    who = "public" if options.public else "private"
    print(f"{found.kind} {options.repository} ({who}), licence: {found.licence or 'none'}")
    for path in found.files:
        print(f"  {size(path.stat().st_size):>8}  {path.relative_to(found.folder)}")
    print(f"  {size(total):>8}  in {len(found.files)} files")
    for gap in found.gaps:
        print(f"the card: {gap}")


def send(found: Parcel, options: Namespace) -> str:
    """Make the repository if it is not there, and commit the files; returns the commit's address.

    Raises:
        FairgenError: nobody is logged in, the repository is public and should not be, or the hub refuses.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, RepositoryNotFoundError

    api = HfApi(
        endpoint=os.environ.get("HF_ENDPOINT") or None, library_name="fairgen", library_version=__version__
    )
    repository = {"repo_id": options.repository, "repo_type": found.kind}
    try:
        api.whoami()
        try:
            if not api.repo_info(**repository).private and not options.public:
                raise FairgenError(
                    f"{options.repository} is there and public; say --public if the folder may be seen by"
                    f" everybody"
                )
        except RepositoryNotFoundError:
            api.create_repo(**repository, private=not options.public)
        operations = [
            CommitOperationAdd(path.relative_to(found.folder).as_posix(), str(path)) for path in found.files
        ]
        done = api.create_commit(
            **repository, operations=operations, commit_message=f"Export of fairgen {__version__}"
        )
    except LocalTokenNotFoundError as error:
        raise FairgenError("nobody is logged in at the hub; call `hf auth login`, or set HF_TOKEN") from error
    except HfHubHTTPError as error:
        raise FairgenError(f"the hub refuses: {shortened(str(error), 240)}") from error
    except (OSError, ValueError) as error:
        raise FairgenError(
            f"the hub cannot be reached or used: {shortened(str(error), 240)}; call again"
        ) from error
    return done.commit_url


def run(options: Namespace) -> None:
    """Show what would be sent, and send it with --go.

    Raises:
        FairgenError: the folder must not be sent as it is, with a line for each reason, or the hub refuses.
    """
    if not REPOSITORY.fullmatch(options.repository):
        raise FairgenError(f"{options.repository} is no repository of a hub; give OWNER/NAME")
    found = parcel(options.folder, options)
    show(found, options)
    if found.faults or not (options.folder / card.CARD).is_file():
        missing = (
            []
            if (options.folder / card.CARD).is_file()
            else [f"{card.CARD} is missing: the folder has no card"]
        )
        raise FairgenError("\n".join(dict.fromkeys([*missing, *found.faults])))
    if options.go:
        print(send(found, options))
    else:
        print("nothing was sent; --go sends it")
