"""What makes calls and jobs of a workflow's copy quicker.

Snakemake does not load its executor plugins, a quarter of a call's time, unless a profile or an executor is
asked for, or it is a job of one: as where they are not installed. A job of a copy that is `warm` lets a
process that has the libraries already be it (`warm.py`).
"""

import os
import pkgutil
import sys
from collections.abc import Iterator

PREFIX = "snakemake_executor_plugin_"
every = pkgutil.iter_modules


def others(*words: object, **options: object) -> Iterator[pkgutil.ModuleInfo]:
    """All modules but the plugins."""
    return (found for found in every(*words, **options) if not found.name.startswith(PREFIX))


if not {"--workflow-profile", "--executor", "--mode"} & set(sys.orig_argv):
    pkgutil.iter_modules = others


def delegated(place: str) -> int:
    """Let another process do this one's work, with its files and folder; returns its exit status."""
    import json
    import socket

    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(place)
        request = json.dumps([sys.orig_argv[1:], dict(os.environ), os.getcwd()]).encode() + b"\n"
        sent = socket.send_fds(asking, [request[:4096]], [0, 1, 2])
        asking.sendall(request[sent:])
        return int(asking.recv(16))  # empty where that process is lost, which is no status


server, words = os.environ.get("FAIRGEN_TESTS_WARM"), sys.orig_argv[1:]
if server and words[:1] == ["-m"] and words[1].startswith("fairgen.") and "--settings" in words:
    try:
        status = delegated(server)
    except BaseException as error:  # else `site` would go on, and the job run twice
        os.write(2, f"the process that was this job's is lost: {error!r}\n".encode())
        os._exit(97)
    if status < 0:
        os.kill(os.getpid(), -status)
    os._exit(status)
