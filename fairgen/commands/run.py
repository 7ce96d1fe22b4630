"""`fairgen run`: snakemake with fairgen's own workflow, from any folder; results go below the working folder.

A data set's name stands for its comparison. Every other word is snakemake's own, read by its own parser.
"""

import argparse
import contextlib
import io
import os
import shlex
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from fairgen.core.errors import FairgenError
from fairgen.workflow import config_file, names, project
from fairgen.workflow.stages import STAGES

MARK = "results/…/worst_group.json"  # no target of anyone's
PROFILE = "--workflow-profile"
LOCAL = (None, "local", "dryrun", "touch")  # executors that need a number of cores
ABOUT = """A TARGET is a data set (birds: results/birds/worst_group.json, the figures alone), a file below
results/ (results/birds/report.html: the page to look at too), or a rule.
Options are snakemake's, such as --cores 4 (default: all), -n (dry run), --configfile FILE, --resources gpu=2,
--workflow-profile slurm; `snakemake --help` has them all. A config.yaml in this folder is merged over
fairgen's own, and says only what is to be different."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Targets and snakemake's options; none of them is looked at here."""
    parser.usage = "fairgen run [TARGET ...] [snakemake's options]"
    parser.epilog = ABOUT
    parser.prefix_chars = "\0"  # words that begin with - are snakemake's
    parser.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    parser.set_defaults(help=parser.format_help)


@cache
def parser() -> Any:
    """Snakemake's parser of its command line, which takes a while to be made."""
    from snakemake.cli import get_argument_parser

    return get_argument_parser()


def parsed(words: Sequence[str], profiles: bool = False) -> Any:
    """The words as snakemake's own parser reads them, with the options of its profiles or without; None for
    what it refuses.
    """
    from snakemake.cli import parse_args

    try:
        # words such as --version make it print and exit, which is left to the call itself
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return parse_args(list(words))[1] if profiles else parser().parse_args(list(words))
    except (Exception, SystemExit):
        return None


def is_target(words: Sequence[str], place: int) -> bool:
    """Whether the word at a place is a target rather than an option or its value."""
    found = parsed([*words[:place], MARK, *words[place + 1 :]])
    return found is not None and MARK in found.targets


def expanded(words: Sequence[str]) -> list[str]:
    """The words with a file for every target that is a data set's name; rules keep theirs."""
    found = list(words)
    for place, word in enumerate(words):
        if names.valid(word) and word not in ("all", *STAGES) and is_target(words, place):
            found[place] = f"results/{word}/worst_group.json"
    return found


def placed(words: Sequence[str]) -> list[str]:
    """The words with the workflow profile's place instead of its name.

    Raises:
        FairgenError: there is no such profile.
    """
    found = list(words)
    for place, word in enumerate(words):
        if word.startswith(f"{PROFILE}=") and word != f"{PROFILE}=none":
            found[place] = f"{PROFILE}={project.profile(word.partition('=')[2])}"
        elif word == PROFILE and words[place + 1 : place + 2] not in ([], ["none"]):
            found[place + 1] = project.profile(words[place + 1])
    return found


def command(words: Sequence[str]) -> list[str]:
    """Snakemake's command line.

    Raises:
        FairgenError: there is no workflow, or no profile of the name.
    """
    found = placed(expanded(words))
    plain = parsed(found)
    if plain is not None and not plain.snakefile:
        found = ["--snakefile", str(project.called()), *found]
    full = parsed(found, profiles=True)
    if full is not None and full.cores is None and full.jobs is None and full.executor in LOCAL:
        found = ["--cores", "all", *found]
    return found


def check(words: Sequence[str]) -> None:
    """What snakemake would end with a trace about is told in a line.

    Raises:
        FairgenError: a config file is not there, or is no YAML, or the folder cannot be written into.
    """
    plain = parsed(words)
    if plain is None:  # its own words, or none that plan a run
        return
    config_file.check_given([Path(file) for file in plain.configfile or ()])
    folder = Path(plain.directory or ".")
    if folder.is_dir() and not os.access(folder, os.W_OK):
        raise FairgenError(
            f"cannot write into {folder.resolve()}, where snakemake keeps its records: make it writable, or"
            " run in a folder that is"
        )


def run(options: argparse.Namespace) -> None:
    """Become snakemake; its exit status is the command's.

    Raises:
        FairgenError: see `command`.
    """
    if options.words in (["-h"], ["--help"]):
        print(options.help(), end="")
        return
    check(options.words)
    words = command(options.words)
    print(f"fairgen run: snakemake {shlex.join(words)}", file=sys.stderr, flush=True)
    try:
        os.execv(sys.executable, [*project.SNAKEMAKE, *words])
    except OSError as error:
        raise FairgenError(f"cannot start {sys.executable}: {error.strerror}") from error
