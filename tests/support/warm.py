"""Stages as processes that have PyTorch and the models' libraries already: forks of one that has loaded them.

Such a process has memory and an exit status of its own, and may be killed, as that of a command. A fork of
the tests' own serves `bench.py`; to jobs of a workflow's copy (`Workflow.warm`) a server hands one out, which
`lighter/sitecustomize.py` asks. Whole runs that are disturbed begin with nothing, as users' do.
"""

import importlib
import json
import logging
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NoReturn

POSSIBLE = sys.platform == "linux"  # elsewhere libraries may not bear a fork
LATE = ("peft", "faiss", "matplotlib.figure", "pandas", "scipy.stats", "sklearn.metrics")
# what Python does not show, and that a module has been imported before it runs
QUIET = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning, RuntimeWarning)
READY = "fairgen: ready\n"
_servers: list[subprocess.Popen] = []  # kept, or their pipes would be closed
HERE = [str(Path(__file__).parent), str(Path(__file__).parents[2])]  # of the server's path alone


@cache
def load() -> None:
    """Import, once, what stages import late."""
    from bench import BASE, NETWORK

    from fairgen.models import classifier, diffusion, text_encoders
    from fairgen.models.base_model import Base

    base = Base(**BASE)
    diffusion.pipeline(base, diffusion.load_denoiser(base), text_encoders.load_text(base))
    classifier.build(classifier.Classifier(**NETWORK), 2, 0)
    for name in LATE:
        importlib.import_module(name)


def run(words: Sequence[str], env: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess:
    """As `subprocess.run` of Python with these words (`-m MODULE …`, `-c PROGRAM …`) in a folder."""
    load()
    sys.stdout.flush(), sys.stderr.flush()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        if not (process := os.fork()):
            _become(words, env, folder, [0, out.fileno(), err.fileno()])
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        out.seek(0), err.seek(0)
        return subprocess.CompletedProcess([*words], status, out.read(), err.read())


def _become(words: Sequence[str], env: Mapping[str, str], folder: str | Path, fds: Sequence[int]) -> NoReturn:
    """Be that command, to its end."""
    status = 1
    try:
        for number, given in enumerate(fds):
            os.dup2(given, number)
        for given in {*fds} - {0, 1, 2}:
            os.close(given)
        sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1, closefd=False) for n in (1, 2))
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(env)
        logging.getLogger().handlers.clear()  # pytest's
        warnings.resetwarnings()
        for kind in QUIET:
            warnings.simplefilter("ignore", kind)
        _forget_fairgen()
        importlib.import_module("numpy").random.seed()  # else every fork's global generator is the same
        (how, what), sys.argv[1:] = words[:2], words[2:]
        if how == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
        sys.stdout.flush(), sys.stderr.flush()
        status = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        sys.stdout.flush(), sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)  # whatever fails, the fork does not go on as the process that it comes from


def _forget_fairgen() -> None:
    """The fork imports the fairgen of its own path, as it stands there."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("fairgen", "bench", "workflows")]:
        del sys.modules[name]


@cache
def server() -> str:
    """The socket of a server, which is started now and ends with this process."""
    folder = tempfile.mkdtemp(prefix="fairgen-warm-", dir="/tmp")  # a socket's path has to be short
    place = f"{folder}/socket"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(HERE)}
    # its standard input is closed with this process
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    process = subprocess.Popen([sys.executable, __file__, place], env=env, text=True, **pipes)
    _servers.append(process)
    said = []
    while (line := process.stdout.readline()) != READY:
        said.append(line)
        assert line, "".join(said)  # it has ended
    return place


def _serve(place: str) -> None:
    """Hand out a process to each that asks, until standard input ends."""
    load()
    sys.path[:] = [path for path in sys.path if path not in HERE]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place)
        listening.listen()
        print(READY, end="", flush=True)
        for number in (1, 2):  # nobody reads them any more
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
        while listening in select.select([listening, sys.stdin], [], [])[0]:
            asking, _ = listening.accept()
            if not os.fork():
                listening.close()
                _attend(asking)
            asking.close()


def _attend(asking: socket.socket) -> NoReturn:
    """Be the process that one asks for, and tell its exit status; it ends with the one that asks."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        first, fds, _, _ = socket.recv_fds(asking, 65536, 3)
        while not first.endswith(b"\n"):
            more = asking.recv(65536)
            if not more:  # it has gone
                os._exit(1)
            first += more
        words, env, folder = json.loads(first)
        if not (process := os.fork()):
            asking.close()
            sys.path[:0] = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path]
            importlib.invalidate_caches()
            _become(words, env, folder, fds)
        for given in fds:
            os.close(given)
        if asking in select.select([asking, os.pidfd_open(process)], [], [])[0]:
            os.kill(process, signal.SIGKILL)
        asking.sendall(str(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])).encode())
    finally:
        os._exit(0)


if __name__ == "__main__":
    try:
        _serve(sys.argv[1])
    finally:
        shutil.rmtree(Path(sys.argv[1]).parent)
