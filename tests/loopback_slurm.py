"""Slurm on this one machine, bound to loopback and kept in a temporary folder: `python loopback_slurm.py COMMAND ...`.

Starts munged, slurmctld and slurmd of Debian's packages munge and slurm-wlm (installed first where that is possible),
runs the command with SLURM_CONF set, and takes all of it down again.
"""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
CORES = 2


class Unavailable(Exception):
    """Slurm cannot be installed or started here; says why."""


@contextlib.contextmanager
def loopback_slurm() -> Iterator[dict[str, str]]:
    """Yields the environment in which Slurm's commands talk to it.

    Raises:
        Unavailable: it cannot be installed or started.
    """
    _install()
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)
    environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        daemons.append(_start_munged(folder))
        (folder / "slurm.conf").write_text(_configuration(folder))
        for daemon in ("slurmctld", "slurmd"):
            (folder / f"{daemon}.state").mkdir()
            daemons.append(_start([daemon, "-D"], folder / f"{daemon}.log", env=environment))
        _wait(lambda: _ask(environment, "sinfo", "--noheader", "--format=%t") == "idle", "the node is not idle", folder)
        yield environment
    finally:
        if len(daemons) == 3:
            _ask(environment, "scancel", f"--user={getpass.getuser()}")
            with contextlib.suppress(Unavailable):
                _wait(lambda: not _ask(environment, "squeue", "--noheader"), "jobs do not end", folder)
        for daemon_process in reversed(daemons):
            daemon_process.terminate()
            try:
                daemon_process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                daemon_process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _install() -> None:
    if not _missing():
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Unavailable(f"{', '.join(_missing())} not installed (Debian: apt-get install munge slurm-wlm)")
    command = ["apt-get", "install", "--yes", "--no-install-recommends", "munge", "slurm-wlm"]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for attempt in (command, ["apt-get", "update"], command):
        subprocess.run(attempt, env=environment, capture_output=True, timeout=600, check=False)
        if not _missing():
            return
    raise Unavailable(f"apt-get does not install {', '.join(_missing())}")


def _missing() -> list[str]:
    # Daemons lie where only an administrator's PATH leads.
    os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
    return [program for program in PROGRAMS if shutil.which(program) is None]


def _start_munged(folder: Path) -> "subprocess.Popen[bytes]":
    own = folder / "munge"
    own.mkdir(mode=0o755)
    key = own / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    # munged does not want to be root.
    user = {"user": "munge", "group": "munge"} if os.geteuid() == 0 else {}
    if user:
        shutil.chown(own, **user)
        shutil.chown(key, **user)
    files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    options = [f"--{option}={own / name}" for option, name in files.items()]
    daemon = _start(["munged", "--foreground", *options], folder / "munged.log", **user)
    _wait(lambda: (own / "socket").exists(), "munged does not start", folder)
    return daemon


def _start(command: list[str], log: Path, **options: Any) -> "subprocess.Popen[bytes]":
    with log.open("wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, **options)


def _configuration(folder: Path) -> str:
    host, user = socket.gethostname().split(".")[0], getpass.getuser()
    controller, node = _free_ports(2)
    # A requeued job starts again after cred_expire seconds, 120 if nothing is said.
    return f"""
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={controller}
SlurmdPort={node}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=6
StateSaveLocation={folder}/slurmctld.state
SlurmdSpoolDir={folder}/slurmd.state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs={CORES} RealMemory=20000
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _ask(environment: dict[str, str], *command: str) -> str | None:
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return None if answer.returncode else answer.stdout.strip()


def _wait(condition, failure: str, folder: Path, seconds: float = 60) -> None:  # type: ignore[no-untyped-def]
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            logs = "\n".join(f"{log.name}: {log.read_text(errors='replace')[-500:]}" for log in folder.glob("*.log"))
            raise Unavailable(f"{failure}: {logs}")
        time.sleep(0.2)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        with loopback_slurm() as environment:
            sys.exit(subprocess.run(sys.argv[1:], env=environment, check=False).returncode)
    except Unavailable as reason:
        sys.exit(f"error: {reason}")
