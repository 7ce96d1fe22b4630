"""`fairgen check`: a screen of what a data set holds and what a run would do, before anything is trained."""

import argparse
import shlex
import subprocess
from pathlib import Path

from fairgen.commands import ended
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
    page = target.with_name("report.html")
    call = shlex.join([*project.caller().split(), "--cores", options.cores, *extra, "--", str(page)])
    print(f"{screen(target.read_text(), target)}\nThe comparison with a page to look at: {call}")
