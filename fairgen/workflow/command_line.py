"""What the rules need of the machine: the Python that runs the jobs, and the data sets that the command line
names.
"""

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from fairgen.core.callback import MONITOR
from fairgen.core.errors import FairgenError
from fairgen.core.fingerprint import SEEN, sources
from fairgen.core.progress import BARS
from fairgen.workflow.names import RESERVED
from fairgen.workflow.preflight import machine
from fairgen.workflow.project import importable

DEFAULT = ("results/birds/worst_group.json",)  # what `rule all` compares
MANAGES = (  # options with which snakemake neither plans nor runs jobs
    *("unlock", "list_rules", "list_target_rules", "lint", "summary", "detailed_summary", "touch", "archive"),
    *(
        "print_compilation",
        "cleanup_metadata",
        "cleanup_shadow",
        "delete_all_output",
        "delete_temp_output",
        "containerize",
    ),
    *(
        "dag",
        "rulegraph",
        "filegraph",
        "d3dag",
        "list_changes",
        "list_input_changes",
        "list_params_changes",
        "list_untracked",
    ),
    *(
        "generate_unit_tests",
        "report",
        "conda_create_envs_only",
        "conda_cleanup_envs",
        "list_conda_envs",
        "deploy_sources",
    ),
)


def use_this_python(outer: bool = False, conda: bool = False, first: bool = True) -> None:
    """Let jobs run the Python that runs snakemake, whether or not its environment is activated, and this very
    package; nothing in the working folder stands for a module of the same name.

    They are told which code this call has read, and refuse to go on with another (`fingerprint.unchanged`).

    Args:
        outer: another workflow uses this one as a module; its own jobs may import what lies beside them.
        conda: jobs have environments of conda's, from which snakemake keeps PYTHONPATH otherwise: they would
            find fairgen in the working folder only, or nowhere.
        first: this is the user's call, not one that reads the rules again for a job of it.
    """
    if first or SEEN not in os.environ:
        os.environ[SEEN] = sources()
    for name, ahead in (("PATH", os.path.dirname(sys.executable)), ("PYTHONPATH", str(importable()))):
        # an empty part of it is the working folder
        own = [part for part in os.environ.get(name, "").split(os.pathsep) if part]
        os.environ[name] = os.pathsep.join([ahead, *own])
    if outer:
        return
    os.environ["PYTHONSAFEPATH"] = "1"  # as -P, also for a snakemake that an executor calls
    if conda:
        from snakemake.shell import shell

        shell.conda_block_conflicting_envvars = False


def tell_jobs(config: dict[str, Any], plans: bool) -> None:
    """Let jobs know what to keep of their trainings, past all that is tracked.

    Raises:
        FairgenError: jobs are planned, and the tracker's package is not there.
    """
    asked = config["monitor"]
    tracker = asked["tracker"]
    if plans and tracker != "none" and find_spec("torch") and not getattr(find_spec(tracker), "origin", None):
        raise FairgenError(
            f"config: monitor.tracker: {tracker} is not installed; `pip install {tracker}`, or set none"
        )
    os.environ[MONITOR] = json.dumps({**asked, "near": config["audit"]["near"]})


@dataclass(frozen=True)
class Call:
    """What the command line asks of snakemake."""

    # files, relative to the working folder; those of `rule all` if none is named
    targets: tuple[str, ...] = ()
    plans: bool = False  # jobs are planned, or run; not so for --unlock, --summary, --list-rules and the like
    runs: bool = False  # and run, not only shown
    here: bool = True  # on this machine
    config: tuple[str, ...] = ()  # the words of --config as they were typed
    outer: bool = False  # by a workflow that uses this one as a module, whose own targets say nothing of ours
    first: bool = True  # by a user, not for a job of a call that has read the rules before


def call(outer: bool) -> Call:
    """The command line as snakemake's own parser reads it, options of its profiles included.

    The parsed targets are not handed out while rules are read. A snakemake that Python code calls has no
    command line here.
    """
    from snakemake.cli import parse_args

    try:
        # it says again which profile it takes, or that it cannot parse
        with contextlib.redirect_stderr(io.StringIO()):
            options = vars(parse_args(None)[1])
    except (Exception, SystemExit):
        return Call(outer=outer)
    named = [os.path.normpath(word) for word in options.get("targets") or () if word != "all"]
    whole = "all" in (options.get("targets") or ()) or not (named or options.get("target_jobs"))
    # not a job that reads the rules again
    first = str(options.get("mode") or "default").lower().endswith("default")
    plans = first and not any(options.get(name) for name in MANAGES)
    here = options.get("executor") in (None, "local", "dryrun", "touch")
    targets = (*(DEFAULT if whole and not outer else ()), *named)
    typed = tuple(map(str, options.get("config") or ()))
    if options.get("logger"):  # a plugin draws where bars of jobs would be
        os.environ[BARS] = "0"
    return Call(targets, plans, plans and not options.get("dryrun"), here, typed, outer, first)


def share_gpus(workflow: Any, wanted: int) -> None:
    """Let snakemake hand out this machine's GPUs, as `--resources gpu=N` does, where that is not said.

    Args:
        workflow: snakemake's.
        wanted: GPUs of one job.

    Raises:
        FairgenError: fewer are handed out than a job takes; snakemake would give it those without a word.
    """
    known = workflow.global_resources
    given = known["gpu"].value if "gpu" in known else None
    if isinstance(given, int) and given < wanted:
        raise FairgenError(
            f"--resources gpu={given}: a job takes {wanted} (datasets.<name>.gpu); hand out as many, or set"
            " fewer there (0 computes on the CPU)"
        )
    found = machine.gpus() if given is None else None
    if found:
        workflow.register_resource("gpu", len(found))


def check_module(prefix: str | None) -> None:
    """Refuse a module's prefix: fairgen's stages know their files by their places below `results`.

    Raises:
        FairgenError: says what to do instead.
    """
    if prefix:
        raise FairgenError(
            f"module: prefix {prefix} would move fairgen's files away from results/; leave prefix out"
        )


def requested(targets: Iterable[str], ending: str = "") -> list[str]:
    """Data sets among some targets, or among those that end so."""
    parts = [target.split("/") for target in targets if target.endswith(ending)]
    return sorted({part[1] for part in parts if len(part) > 2 and part[0] == "results"} - {*RESERVED})


def check_writable(results: Path, datasets: list[str]) -> None:
    """Before the first job: fairgen may write into the results, and into those of the data sets.

    Raises:
        FairgenError: names the folder.
    """
    for folder in (results, *(results / name for name in datasets)):
        if not os.access(folder if folder.exists() else results.parent, os.W_OK):
            raise FairgenError(f"cannot write into {folder}: make it writable, or run in a folder that is")


def stop(error: Exception) -> NoReturn:
    """End with one line for each mistake and no traceback."""
    for line in str(error).splitlines():
        print(f"fairgen: {line}", file=sys.stderr)
    sys.exit(1)
