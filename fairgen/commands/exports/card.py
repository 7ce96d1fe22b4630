"""The card of a folder, `README.md`: a front matter that the hub reads, and a page for people."""

import re
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

import yaml

from fairgen.core.errors import FairgenError
from fairgen.core.markdown import clean, table

CARD = "README.md"
FILES = (".safetensors", ".onnx")  # outputs of one file
UNKNOWN = "unknown"
NOT_STATED = "not stated; look it up before you pass this on"
LICENCE_ID = re.compile(r"[a-z0-9][a-z0-9.+-]*")
FRONT = re.compile(r"---\n(.*?)\n---\n", re.S)
PERSONS = "Images of persons may need their consent, whatever a licence says."


def arguments(parser: ArgumentParser) -> None:
    """What a card cannot know."""
    told = parser.add_argument_group("licences, as the hub writes them: apache-2.0, cc-by-4.0, other, …")
    told.add_argument(
        "--license",
        metavar="ID",
        help="of the export (default: unknown, and `fairgen push` wants one)",
    )
    told.add_argument("--license-name", metavar="NAME", help="name of a licence that is `other`")
    told.add_argument("--license-link", metavar="URL", help="where the licence stands; of `other` needed")
    told.add_argument("--base-license", metavar="ID", help="of the base model or the pretrained weights")
    told.add_argument("--data-license", metavar="ID", help="of the images that were trained on")


def check(options: Namespace) -> None:
    """The licences are ids, and `other` says which.

    Raises:
        FairgenError: they are not, or it does not.
    """
    for name in ("license", "base_license", "data_license"):
        given, key = getattr(options, name), f"--{name.replace('_', '-')}"
        if given is not None and not LICENCE_ID.fullmatch(given):
            raise FairgenError(
                f"{key} {given}: give an id of the hub, in small letters and without spaces (apache-2.0, mit,"
                " cc-by-4.0, openrail, other)"
            )
    if options.license_name and options.license != "other":
        raise FairgenError("--license-name: it names a licence that is `other`; leave it out")
    if options.license_link and not options.license:
        raise FairgenError("--license-link: give --license, too")
    if options.license == "other" and not (options.license_name and options.license_link):
        raise FairgenError("--license other: say which one with --license-name and --license-link")


def front_licence(options: Namespace) -> dict[str, str]:
    """The licence as the hub reads it."""
    found = {"license": options.license}
    if options.license == "other":
        found |= {"license_name": options.license_name, "license_link": options.license_link}
    return found


def in_file(options: Namespace) -> dict[str, str]:
    """The licences for the metadata of a file that stands alone, without a card; nothing for a folder."""
    names = ("license", "license_name", "license_link", "base_license", "data_license")
    found = {name: getattr(options, name) for name in names}
    alone = options.output.suffix in FILES
    return {name: value for name, value in found.items() if alone and value and value != UNKNOWN}


def licences(options: Namespace, what: str, sources: dict[str, str | None]) -> str:
    """The section on licences.

    Args:
        options: of the command line.
        what: is exported.
        sources: licence of each thing that it was made from, None where it is not stated.
    """
    own = "not stated; nobody may use it before it is" if options.license == UNKNOWN else options.license
    if options.license_link:
        own = f"[{clean(options.license_name or options.license)}]({options.license_link})"
    rows = [(what, own), *((name, given or NOT_STATED) for name, given in sources.items())]
    return f"## Licences\n\n{table(('what', 'licence'), rows)}\n\n{PERSONS}"


def page(front: dict[str, Any], parts: list[str]) -> str:
    """A card of a front matter and the parts of its page."""
    head = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{head}---\n\n" + "\n\n".join(part.strip() for part in parts) + "\n"


def front_matter(folder: Path) -> dict[str, Any]:
    """The front matter of a folder's card, empty where there is none.

    Raises:
        FairgenError: it is no YAML.
    """
    try:
        found = FRONT.match((folder / CARD).read_text("utf-8"))
        read = yaml.safe_load(found[1]) if found else {}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:160]
        raise FairgenError(f"{folder / CARD}: the front matter cannot be read ({reason}); mend it") from error
    return read if isinstance(read, dict) else {}


def settings(rows: dict[str, Any]) -> str:
    """Settings as a table, without those that are off."""
    shown = {k: v for k, v in rows.items() if v not in (None, "", [], {})}
    return table(("setting", "value"), ((k, f"`{v}`" if isinstance(v, str) else v) for k, v in shown.items()))
