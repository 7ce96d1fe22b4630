"""A repository at a hub: what it holds, what a push would delete there, and the commit itself."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fairgen import __version__
from fairgen.commands.exports import card, record
from fairgen.core.errors import FairgenError, shortened

if TYPE_CHECKING:
    from huggingface_hub import HfApi

OWN = (".gitattributes",)  # what a hub writes by itself
REFUSED = 400  # HTTP status of what is not as it has to be


@dataclass(frozen=True)
class Repository:
    """A repository that is there.

    Attributes:
        private: whether it is.
        commit: its newest, on which ours has to follow.
        files: their paths.
        exported: what its `fairgen.json` lists, and that file itself; nothing where there is none.
    """

    private: bool
    commit: str
    files: frozenset[str]
    exported: frozenset[str]

    def old(self, sent: set[str]) -> list[str]:
        """Files of an export before, which the folder has no more."""
        return sorted(self.files & self.exported - sent)

    def strange(self, sent: set[str]) -> list[str]:
        """Files that neither the folder nor the export before knows."""
        return sorted(self.files - self.exported - sent - set(OWN))


def endpoint() -> str:
    """The address of the hub."""
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def api() -> "HfApi":
    """The hub by its library."""
    from huggingface_hub import HfApi

    return HfApi(endpoint=endpoint(), library_name="fairgen", library_version=__version__)


@contextmanager
def answers() -> Iterator[None]:
    """The hub's refusals as one line.

    Raises:
        FairgenError: nobody is logged in, or the hub refuses or cannot be reached.
    """
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    try:
        yield
    except LocalTokenNotFoundError as error:
        raise FairgenError("nobody is logged in at the hub; call `hf auth login`, or set HF_TOKEN") from error
    except HfHubHTTPError as error:
        raise FairgenError(f"the hub refuses: {shortened(str(error), 240)}") from error
    except (OSError, ValueError) as error:
        raise FairgenError(
            f"the hub cannot be reached or used: {shortened(str(error), 240)}; call again"
        ) from error


def look(name: str, kind: str) -> Repository | None:
    """A repository; None where it is not there, or not for who is logged in.

    Raises:
        FairgenError: as `answers`.
    """
    from huggingface_hub.errors import RepositoryNotFoundError

    hub = api()
    with answers():
        hub.whoami()  # without, a private repository looks as if it were not there
        try:
            found = hub.repo_info(name, repo_type=kind)
        except RepositoryNotFoundError:
            return None
        files = frozenset(own.rfilename for own in getattr(found, "siblings", None) or [])
        commit = found.sha or ""
        listed = exported(hub, name, kind, commit) if record.RECORD in files else frozenset()
        return Repository(bool(found.private), commit, files, listed)


def exported(hub: "HfApi", name: str, kind: str, commit: str) -> frozenset[str]:
    """What the record in a repository lists, with itself; nothing where it is none of ours."""
    with tempfile.TemporaryDirectory() as place:
        file = hub.hf_hub_download(name, record.RECORD, repo_type=kind, revision=commit, local_dir=place)
        try:
            found = record.read(Path(file).parent)
        except FairgenError:
            found = None
    return frozenset([*found["files"], record.RECORD]) if found else frozenset()


def check_card(path: Path, kind: str) -> None:
    """Ask the hub whether it takes a card, before there is a repository for it.

    Raises:
        FairgenError: it does not, or as `answers`.
    """
    from huggingface_hub import get_session
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    with answers():
        asked = {"content": path.read_text("utf-8"), "repoType": kind}
        found = get_session().post(f"{endpoint()}/api/validate-yaml", json=asked, headers=build_hf_headers())
        if found.status_code == REFUSED:
            told = "; ".join(str(one.get("message", one)) for one in found.json().get("errors", []))
            raise FairgenError(
                f"{path}: the hub does not take its front matter: {shortened(told, 240)}; mend it, or export"
                " again (with another --license)"
            )
        hf_raise_for_status(found)


def commit(
    name: str, kind: str, there: Repository | None, public: bool, sent: dict[str, Path], gone: list[str]
) -> str:
    """Make the repository if it is not there, and change it in one commit; returns that one's address.

    Args:
        name: of the repository.
        kind: model or dataset.
        there: as it was looked at; another commit since is a refusal.
        public: a new one is for everybody to see.
        sent: files by their paths there.
        gone: paths to be deleted.

    Raises:
        FairgenError: as `answers`.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    hub = api()
    if there is None and card.CARD in sent:
        check_card(sent[card.CARD], kind)
    with answers():
        if there is None:
            hub.create_repo(name, repo_type=kind, private=not public)
        done = hub.create_commit(
            name,
            repo_type=kind,
            operations=[
                *(CommitOperationAdd(path, str(file)) for path, file in sent.items()),
                *(CommitOperationDelete(path, is_folder=False) for path in gone),
            ],
            commit_message=f"Export of fairgen {__version__}",
            parent_commit=there.commit if there and there.commit else None,
        )
        return done.commit_url
