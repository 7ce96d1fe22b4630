"""Logs of snakemake as 9.27 writes them, cut short: pieces of real ones, of this workflow in miniature."""

import os
import socket
import time
from pathlib import Path

HEAD = """\
Assuming unrestricted shared filesystem usage.

SNAKEMAKE
=========
  Date: 2026-11-29 15:30:30
  Workflow ID: aa7b723d-9f20-4b62-af86-c1dba66a0ac4
  Platform: Linux-6.18.44-x86_64-with-glibc2.36
  Host: {host}
  User: root
  Snakemake version: 9.27.1
  Command: /usr/bin/snakemake --cores 2 -- results/birds/worst_group.json
  Working directory: {folder}
  Config MD5: 52371269bd51422c153dbc1298b24302

Building DAG of jobs...
"""
HERE = "Using shell: /usr/bin/bash\nProvided cores: 2\nRules claiming more threads will be scaled down.\n"
CLUSTER = "Using shell: /usr/bin/bash\nProvided remote nodes: 3\n"
ENDED = "Complete log(s): {folder}/.snakemake/log/x.snakemake.log\nElapsed time: 0:00:12.721628\n"
UNDONE = "WorkflowError:\nAt least one job did not complete successfully.\n"
FAILED = f"Exiting because a job execution failed. Look above for error messages\n{ENDED}{UNDONE}"
STOPPED = "Terminating processes on user request, this might take some time.\n"
REFUSED = (
    "LockException:\nError: Directory cannot be locked. Please make sure that no other Snakemake process is"
    " trying to create the same files in the following directory:\n/work\n"
)


def stamp(at: float) -> str:
    """A line with a time."""
    return f"[{time.asctime(time.localtime(at))}]\n"


def plan(**counts: int) -> str:
    """The table of jobs."""
    rows = "".join(f"{rule:<12}{count:>6}\n" for rule, count in counts.items())
    total = f"{'total':<12}{sum(counts.values()):>6}\n"
    return f"Job stats:\njob          count\n-----------  -------\n{rows}{total}\nSelect jobs to execute...\n"


def begun(rule: str, number: int, at: float, output: str, remote: bool = False, **wildcards: object) -> str:
    """A job that begins, with its log and benchmark file where the rules have them."""
    place = output.removeprefix("results/").rsplit(".", 1)[0]
    named = ", ".join(f"{key}={value}" for key, value in wildcards.items())
    return (
        f"Execute 1 jobs...\n{stamp(at)}{'' if remote else 'local'}rule {rule}:\n"
        f"    input: results/birds/index.parquet\n    output: {output}\n"
        f"    log: results/logs/{place}.log\n    jobid: {number}\n"
        f"    benchmark: results/benchmarks/{place}.tsv\n"
        f"    reason: Missing output files: {output}\n    wildcards: {named}\n"
        "    resources: tmpdir=/tmp, gpu=0, runtime=240, mem_mb=24000, mem=24 GB, mem_mib=22889\n"
    )


def grouped(text: str) -> str:
    """Jobs of one submission, as a cluster's log has them."""
    inner = "".join(f"    {line}\n" for line in text.splitlines() if not line.startswith("Execute"))
    return (
        f"Execute 1 jobs...\n{stamp(time.time())[:-1]} Group job data (jobs in lexicogr. order):\n\n{inner}"
    )


def finished(rule: str, number: int, at: float, done: int, total: int) -> str:
    """A job that ended well."""
    share = f"{done} of {total} steps ({done / total:.0%}) done"
    return f"{stamp(at)}Finished jobid: {number} (Rule: {rule})\n{share}\n"


def error(rule: str, number: int, at: float, output: str, how: str) -> str:
    """A job that failed, with how snakemake says that its command ended."""
    log = output.replace("results/", "results/logs/", 1).rsplit(".", 1)[0]
    command = f"python -m fairgen.data.{rule} --settings '{{}}' --output {output}"
    return (
        f'RuleException:\nCalledProcessError in file "/work/rules/data.smk", line 51:\n'
        f"Command 'set -euo pipefail;  {command}' {how}.\n{stamp(at)}Error in rule {rule}:\n"
        f"    message: None\n    jobid: {number}\n    output: {output}\n"
        f"    log: {log}.log (check log file(s) for error details)\n    shell:\n        {command}\n"
        "        (command exited with non-zero exit code)\n"
    )


def call(folder: Path, *pieces: str, name: str = "2026-11-29T153030.860689", host: str = "") -> Path:
    """A call's log in a working folder."""
    path = folder / f".snakemake/log/{name}.snakemake.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    head = HEAD.format(host=host or socket.gethostname(), folder=folder)
    path.write_text(head + "".join(pieces).replace("{folder}", str(folder)))
    return path


def write(path: Path, text: str, at: float) -> None:
    """A file of a job, last written then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (at, at))


def said(at: float, text: str, level: str = "INFO") -> str:
    """A line of a job's log."""
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(at))},001 {level} fairgen: {text}\n"


def lock(folder: Path, *outputs: str) -> None:
    """What snakemake holds while it runs."""
    path = folder / ".snakemake/locks/0.output.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{output}\n" for output in outputs))
