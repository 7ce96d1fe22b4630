"""What the rules need of the machine: the Python that runs the jobs, and the data sets that the command line names."""

import os
import sys
from pathlib import Path
from typing import NoReturn

from fairgen.errors import FairgenError


def use_this_python() -> None:
    """Let jobs run the Python that runs snakemake, whether or not its environment is activated."""
    os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])


def requested(words: list[str], ending: str = "") -> list[str]:
    """Data sets among the targets of a command line, or among those that end so.

    The parsed targets are not known yet while rules are read.
    """
    targets = [word.split("/") for word in words if word.split("/")[0] == "results" and word.endswith(ending)]
    return sorted({parts[1] for parts in targets if len(parts) > 2} - {"logs", "benchmarks"})


def ablations(words: list[str]) -> list[tuple[str, str]]:
    """(data set, ablation) of every ablation among the targets of a command line."""
    targets = [word.split("/") for word in words]
    return [(t[1], t[3].rsplit(".", 1)[0]) for t in targets if len(t) == 4 and (t[0], t[2]) == ("results", "ablations")]


def check_writable(results: Path, datasets: list[str]) -> None:
    """Before the first job: fairgen may write into the results, and into those of the data sets.

    Raises:
        FairgenError: names the folder.
    """
    for folder in (results, *(results / name for name in datasets)):
        if not os.access(folder if folder.exists() else results.parent, os.W_OK):
            raise FairgenError(f"cannot write into {folder}: make it writable, or run in a folder that is")


def stop(error: Exception) -> NoReturn:
    """End with one line and no traceback."""
    print(f"fairgen: {error}", file=sys.stderr)
    sys.exit(1)
