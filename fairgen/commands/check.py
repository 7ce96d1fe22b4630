"""`fairgen check`: a screen of what a data set holds and what a run would do, before anything is trained."""

import argparse
import os
import shlex
import subprocess
import sys
from pathlib import Path

from fairgen.commands import ended
from fairgen.core import parquet
from fairgen.core.errors import FairgenError
from fairgen.core.markdown import plain
from fairgen.report.check_page import DETAIL
from fairgen.workflow import config_file, project

MOST = {"problems": 10, "rows": 16}  # lines of a part that a screen has room for


def screen(text: str, file: Path) -> str:
    """The page's first part for a terminal: plain text that fits a screen, and where the rest is."""
    parts = [plain(part).splitlines() for part in text.split(f"\n\n{DETAIL}")[0].split("\n\n")]
    lines = []
    for part in parts:
        room = MOST["problems" if part[0].startswith("- ") else "rows"]
        left = len(part) - room
        lines += (
            part[:room]
            + ([f"  … and {left} more in {file}"] if left > 0 else [])
            + [""] * (not part[0].isupper())
        )
    return "\n".join([*lines, f"All of it, with prompts and the audit of the data: {file}"])


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `fairgen check`."""
    parser.add_argument("dataset", help="a data set of the config")
    parser.add_argument("--cores", default="all", help="cores for reading the images (default: all)")
    config_file.add_option(parser)


def changed(index: Path) -> str:
    """What of the user's files is newer than an index: a file, or a folder of which one has gone or come; ""
    for nothing, for drawings, which are made by a job, and where the index is gone.
    """
    if not index.exists():
        return ""
    root, made = Path(parquet.facts(index)["root"]), index.stat().st_mtime_ns
    if root.resolve() in index.resolve().parents:
        return ""
    for folder, _, files in os.walk(root):
        for place in (Path(folder), *(Path(folder, name) for name in files)):
            if place.exists() and place.stat().st_mtime_ns > made:
                return str(place)
    return ""


def run(options: argparse.Namespace) -> None:
    """`fairgen check`: bring the page up to date in the current folder, and print a screen of it.

    Raises:
        FairgenError: snakemake failed; its own line stands above.
    """
    target = Path("results", options.dataset, "check.md")
    config_file.check_given(options.configfile)
    extra = config_file.as_words(options.configfile)
    command = [
        *project.SNAKEMAKE,
        "--snakefile",
        str(project.called()),
        "--cores",
        options.cores,
        "--quiet",
        "all",
        *extra,
        "--",
        str(target),
    ]
    with ended.told():
        status = subprocess.run(command).returncode
    if status:
        raise FairgenError(f"{options.dataset} does not pass; what is wrong stands above")

    def call(name: str, *more: str) -> str:
        words = [*project.caller().split(), "--cores", options.cores, *more, *extra]
        return shlex.join([*words, "--", str(target.with_name(name))])

    print(
        f"{screen(target.read_text(), target)}\nThe comparison with a page to look at: {call('report.html')}"
    )
    if newer := changed(target.with_name("index.parquet")):
        print(
            f"fairgen: warning: {newer} has changed since the images were indexed, and this is what was found"
            f" then; to look anew: {call('check.md', '--forcerun', 'index')}",
            file=sys.stderr,
        )
