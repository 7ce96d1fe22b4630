"""A Slurm cluster of one node on this machine: munge, slurmctld and slurmd of Debian's slurm-wlm, and two
GPUs that are files.

It needs root and no systemd or cgroups, so it runs in a container. Its config stands in /etc/slurm, the only
place where jobs look for it: snakemake's plugin clears Slurm's variables. It never touches a cluster that is
there already.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

ETC = Path("/etc/slurm")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
FILES = ("slurm.conf", "gres.conf")
PATIENCE = 120  # seconds until the daemons are up, or down
DEVICES = ("/dev/null", "/dev/zero")  # pass for GPUs: Slurm wants character devices
MARK = "# a test cluster of fairgen (tests/support/slurm.py)"
CONFIG = (
    f"{MARK}\n"
    + """\
ClusterName=fairgen
SlurmctldHost={node}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=2
MinJobAge=36000
GresTypes=gpu
ReturnToService=2
MailProg=/bin/true
MpiDefault=none
SlurmdParameters=config_overrides
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd.log
NodeName={node} NodeAddr=127.0.0.1 CPUs=16 RealMemory=256000 Gres=gpu:{gpus}
PartitionName=short Nodes=ALL Default=YES MaxTime=1-00:00:00
"""
)


def missing() -> str | None:
    """Why no cluster can be started here, or None."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if absent:
        return f"no {', '.join(absent)}: apt-get install slurm-wlm munge"
    if os.getuid():
        return "starting a Slurm cluster needs root"
    if any((ETC / name).exists() for name in FILES):
        return f"{ETC} has a cluster's config"
    return None


def clear_abandoned() -> None:
    """Remove the config of a `Cluster` whose process was killed: ours by its mark, with no controller."""
    config = ETC / "slurm.conf"
    ours = config.exists() and config.read_text().startswith(MARK)
    if ours and "is UP" not in ask("scontrol", "ping"):
        for name in FILES:
            (ETC / name).unlink(missing_ok=True)


def free_ports(count: int) -> list[int]:
    """TCP ports that nothing listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_for(ready: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Look again and again until it is so.

    Raises:
        TimeoutError: it is not so after so many seconds; `what` says what is missing.
    """
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} after {seconds} s")
        time.sleep(0.2)


def ask(*words: str) -> str:
    """What a Slurm command prints; nothing where it fails."""
    return subprocess.run(words, capture_output=True, text=True).stdout.strip()


class Cluster:
    """The daemons, as a context: they run inside it, and all their files are gone behind it."""

    def __init__(self, root: Path):
        self.root = root
        self.daemons: list[subprocess.Popen] = []

    def start(self, name: str, *words: str) -> None:
        """Start one daemon in the foreground, its terminal in a file."""
        program = shutil.which(name, path="/usr/sbin:/usr/bin")
        with (self.root / f"{name}.terminal").open("w") as file:
            self.daemons.append(
                subprocess.Popen([program, *words], stdout=file, stderr=file, start_new_session=True)
            )

    def configure(self) -> None:
        """Write the config, a key, and the files that pass for GPUs."""
        for name in ("state", "spool"):
            (self.root / name).mkdir()
        for i, device in enumerate(DEVICES):
            (self.root / f"gpu{i}").symlink_to(device)
        (self.root / "munge.key").write_bytes(os.urandom(128))
        (self.root / "munge.key").chmod(0o600)
        text = CONFIG.format(
            node=socket.gethostname().split(".")[0], root=self.root, ports=free_ports(2), gpus=len(DEVICES)
        )
        ETC.mkdir(exist_ok=True)
        (ETC / "slurm.conf").write_text(text)
        (ETC / "gres.conf").write_text(f"Name=gpu File={self.root}/gpu[0-{len(DEVICES) - 1}]\n")

    def state(self) -> str:
        """What node, queue and daemons say, for a test that fails."""
        logs = [self.root / name for name in ("slurmctld.log", "slurmd.log")]
        ends = [f"{path.name}:\n{path.read_text()[-3000:]}" for path in logs if path.exists()]
        return "\n".join([ask("scontrol", "show", "node"), ask("squeue", "--long"), *ends])

    def __enter__(self) -> "Cluster":
        self.configure()
        try:
            places = {
                "socket": "munge.socket",
                "key-file": "munge.key",
                "pid-file": "munge.pid",
                "seed-file": "munge.seed",
            }
            places["log-file"] = "munge.log"
            self.start(
                "munged", "--force", "--foreground", *(f"--{k}={self.root / v}" for k, v in places.items())
            )
            wait_for((self.root / "munge.socket").exists, "munge is not up")
            self.start("slurmctld", "-D", "-i")
            self.start("slurmd", "-D")
            wait_for(lambda: ask("sinfo", "--noheader", "--format=%T") == "idle", "Slurm's node is not idle")
        except TimeoutError as error:
            error.add_note(self.state())
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for name in FILES:
            (ETC / name).unlink(missing_ok=True)
