"""The `fairgen` command: one module per subcommand, imported when it is called.

A subcommand is a module `fairgen.commands.<name>` with `arguments(parser)` and `run(options)`, and a line in
`COMMANDS`.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from fairgen import __version__
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
    """Run a subcommand; a FairgenError becomes one line for each mistake and exit status 1."""
    words = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="fairgen", description="Tools around the fairgen workflow.")
    parser.add_argument("--version", action="version", version=f"fairgen {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if name in words[:1]:
            import_module(f"fairgen.commands.{name}").arguments(command)
    options = parser.parse_args(words)
    try:
        import_module(f"fairgen.commands.{options.command}").run(options)
    except FairgenError as error:
        for line in str(error).splitlines():
            print(f"fairgen {options.command}: {' '.join(line.split())}", file=sys.stderr)
        return 1
    return 0
