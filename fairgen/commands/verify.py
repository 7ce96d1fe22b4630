"""`fairgen verify`: whether a result and all that it was made from belong to the present config and code, and
to one state of the data, and if not, why.

Nothing is run or written: the lineages that the workflow means are compared with those that the artifacts
record. The user's files are not read: whether they are as the index has seen them shows only in a new index.
"""

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairgen.core import records
from fairgen.core.errors import FairgenError, shortened
from fairgen.core.workfolder import differences
from fairgen.workflow import ancestry, config_file, project

if TYPE_CHECKING:
    from fairgen.workflow.ancestry import Ancestry, Made

# of a comparison: the whole config, which its sources tell by their own settings
DERIVED = ("config", "table")
NO_RECORD = "records no lineage: damaged, or of another program or an older fairgen"
SHOWN = 20  # lines of one kind
SHORT = 60  # characters of a setting's value


@dataclass(frozen=True)
class Finding:
    """One artifact that is not what the workflow means: what differs in its own making; nothing where only a
    source does.
    """

    path: str
    rule: str
    why: tuple[str, ...]


def arguments(parser: ArgumentParser) -> None:
    """The subcommand's command line."""
    parser.add_argument("target", type=Path, help="for example results/birds/worst_group.json")
    config_file.add_option(parser)


def lineages(configfiles: list[Path]) -> "Ancestry":
    """The lineages of the workflow in the current folder, or of fairgen's own.

    Raises:
        FairgenError: there is none, or it or a config file cannot be read.
    """
    config_file.check_given(configfiles)
    from snakemake.api import SnakemakeApi
    from snakemake.exceptions import WorkflowError
    from snakemake.settings.types import ConfigSettings, OutputSettings, Quietness, ResourceSettings

    snakefile = project.called()
    # what the rules see: nothing is planned, so nothing is checked for a run
    sys.argv = ["snakemake", "--list-rules"]
    given = ConfigSettings(configfiles=[file.resolve() for file in configfiles])
    try:
        with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
            workflow = api.workflow(
                resource_settings=ResourceSettings(), config_settings=given, snakefile=snakefile
            )._workflow
            found = ancestry.within(workflow)
    except (WorkflowError, KeyError, OSError) as error:
        raise FairgenError(f"{snakefile} cannot be read ({shortened(str(error), 160)})") from error
    if found is None:
        raise FairgenError(
            f"{snakefile} is no workflow of fairgen, and has none as a module; call this in the folder of one"
        )
    return found


def ancestors(known: "Ancestry", target: str) -> Iterator[tuple[str, "Made"]]:
    """An artifact and all that it is made from, sources first, each once.

    Raises:
        FairgenError: no rule makes it.
    """
    seen: dict[str, Any] = {}

    def visit(path: str) -> None:
        if path not in seen and (made := known.of(path)):
            seen[path] = None  # keeps its place behind its sources
            for sources in made.inputs.values():
                for source in sources:
                    visit(source)
            seen[path] = seen.pop(path) or made

    visit(target)
    if not seen:
        raise FairgenError(
            f"{target}: no rule makes this by the present config; give an artifact, for example"
            " results/birds/worst_group.json, and every file that its run had after --configfile"
        )
    yield from seen.items()


def value(settings: Any, dotted: str) -> str:
    """A setting by its dotted name, as JSON, shortened."""
    for key in dotted.split("."):
        settings = settings.get(key) if isinstance(settings, dict) else None
    return shortened(json.dumps(settings, ensure_ascii=False), SHORT)


def own_difference(found: records.Record, made: "Made") -> tuple[str, ...]:
    """What of an artifact's own settings and code differs from the present ones."""
    if "settings" not in found:
        return ()
    wanted = json.loads(made.settings)
    changed = [name for name in differences(found["settings"], wanted) if not name.startswith(DERIVED)]
    why = [f"{name}: {value(found['settings'], name)}, now {value(wanted, name)}" for name in changed]
    return (*why, *(["its code"] if found.get("code") != made.code else []))


def difference(path: str, made: "Made") -> tuple[str, ...] | None:
    """What differs in an artifact; None if it is what the workflow means."""
    known = Path(path)
    if known.suffix not in records.READERS or not known.exists():
        return None
    found = records.read(known)
    if not found:
        return (NO_RECORD,)
    return None if found["hash"] == made.hash else own_difference(found, made)


def states(there: list[tuple[str, "Made"]]) -> Iterator[Finding]:
    """Yield what comes of another state of a data set than the first artifact that comes of it, its index
    where that is there; sources come first.
    """
    first: dict[str, tuple[str, str]] = {}
    for path, made in there:
        found = records.read(Path(path)) if Path(path).suffix in records.READERS else None
        for name, digest in records.data_of(found).items():
            wanted, source = first.setdefault(name, (digest, path))
            if wanted != digest:
                yield Finding(path, made.rule, (f"other files of data set {name} than {source} has seen",))


def compare(known: "Ancestry", target: str) -> tuple[list[Finding], list[str], int]:
    """What does not belong, what is not there, and how many artifacts belong."""
    listed = list(ancestors(known, target))
    gone = [path for path, _ in listed if not Path(path).exists()]
    there = [(path, made) for path, made in listed if path not in gone]
    other = [
        Finding(path, made.rule, why) for path, made in there if (why := difference(path, made)) is not None
    ]
    told = {finding.path for finding in other}
    other += [finding for finding in states(there) if finding.path not in told]
    return other, gone, len(there) - len(other)


def causes(other: list[Finding]) -> list[str]:
    """What differs, each difference once with the number of artifacts that it shows in."""
    found = Counter((finding.rule, why) for finding in other for why in finding.why)
    return [
        f"{rule}: {why} ({count} artifact{'s' if count > 1 else ''})" for (rule, why), count in found.items()
    ]


def first_of(lines: list[str]) -> list[str]:
    """The first of some lines, and how many more there are."""
    return [*lines[:SHOWN], *([f"… and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else [])]


def run(options: Namespace) -> None:
    """Print what belongs and what does not.

    Raises:
        FairgenError: the target, or something that it was made from, is not of the present config and code,
            or is not there.
    """
    target = os.path.relpath(options.target)
    other, gone, right = compare(lineages(options.configfile), target)
    words = config_file.as_words(options.configfile)
    again = " ".join(
        [f"make it again: {project.caller()} --cores all", *words, *(["--"] if words else []), target]
    )
    if target in gone:
        raise FairgenError(f"{target} is not there; {again.replace('it again', 'it', 1)}")
    if other:
        told = first_of(causes(other)) or ["only files that no rule makes, such as a model's weights"]
        print("\n".join(["What differs:", *(f"  {line}" for line in told)]))
        print("\n".join(["Where:", *(f"  {line}" for line in first_of([finding.path for finding in other]))]))
        differ = "1 artifact differs" if len(other) == 1 else f"{len(other)} artifacts differ"
        raise FairgenError(f"{target} is not of the present config, code and data ({differ}); {again}")
    print(
        f"{target} and all that it was made from ({right} artifacts) belong to the present config and code,"
        " and to one state of the data. (Not looked at: the data's own files, and bytes of artifacts.)"
    )
    if gone:
        print("\n".join(["Not there any more, so not looked at:", *(f"  {line}" for line in first_of(gone))]))
