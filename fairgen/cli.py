"""The `fairgen` command: one module per subcommand, imported when it is called.

A subcommand is a module `fairgen.commands.<name>` with `arguments(parser)` and `run(options)`, and a line in
`COMMANDS`.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from fairgen import __version__
from fairgen.commands import ended
from fairgen.core.errors import FairgenError

COMMANDS = {
    "run": "run the workflow from any folder: a data set or files below results/, and snakemake's options",
    "init": "look at a folder or a label table, and write its entry for a config file",
    "check": "what a data set holds and what a run would do, before anything is trained",
    "estimate": "jobs, time, GPU hours, images and disk of a target, before anything runs",
    "watch": "what the workflow does while it runs: stages, jobs, rates, time left, the last error",
    "verify": "whether a result and all that it was made from belong to the present config",
    "compare": "print the difference of two result files",
    "claims": "whether the paper's claims hold, judged over whole-chain replicates",
    "export": "write a generator, a synthetic set or a classifier as other programs read it",
    "push": "send an exported folder to a hub; shows what it would send first",
    "predict": "label a folder of images with a trained model",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; a FairgenError becomes one line for each mistake and exit status 1, Ctrl-C one line
    and 130.
    """
    words = sys.argv[1:] if argv is None else argv
    name = words[0] if words and words[0] in COMMANDS else ""
    with ended.quietly(name):
        return call(name, words)
    return 0


def call(name: str, words: Sequence[str]) -> int:
    """Read the command line, of one subcommand its own options, and run it."""
    parser = argparse.ArgumentParser(prog="fairgen", description="Tools around the fairgen workflow.")
    parser.add_argument("--version", action="version", version=f"fairgen {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    try:
        if name:
            ended.check_folder()
        for known, summary in COMMANDS.items():
            command = commands.add_parser(known, help=summary, description=summary)
            if known == name:
                import_module(f"fairgen.commands.{name}").arguments(command)
        options = parser.parse_args(words)
        import_module(f"fairgen.commands.{options.command}").run(options)
    except FairgenError as error:
        for line in str(error).splitlines():
            print(f"fairgen {name}: {' '.join(line.split())}", file=sys.stderr)
        return 1
    return 0
