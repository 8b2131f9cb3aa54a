"""Calls in processes of a server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

PROGRAM = """
import importlib, os, sys
sys.path.insert(0, sys.argv[1])
from lr_lab.sweep.processes import Pool, start_server

def place():
    return importlib.import_module("twice").PLACE

start_server(["twice"])
with Pool([{}]) as pool:
    pool.start(0, place)
    (_, answer), = pool.wait()
print(answer.value, os.environ["PYTHONPATH"])
"""


def test_the_server_takes_modules_from_where_its_program_takes_them(tmp_path: Path) -> None:
    """A second checkout that is started with the environment of the first has its src first on the path only."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "twice.py").write_text(f"PLACE = {name!r}")
    path = os.pathsep.join((str(tmp_path / "first"), str(REPOSITORY / "src")))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / "second"],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["second", path]


SERVED = """
import signal
from multiprocessing import forkserver
from pathlib import Path
from lr_lab.sweep.processes import start_server
start_server([])
status = Path(f"/proc/{forkserver._forkserver._forkserver_pid}/status").read_text()
[blocked] = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigBlk")]
print(blocked >> (signal.SIGINT - 1) & 1, signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads signal masks where Linux shows them")
def test_the_server_is_deaf_to_interrupts_from_its_first_moment() -> None:
    """A terminal sends Ctrl-C to it, too, and while it imports torch it would answer with a traceback."""
    done = subprocess.run([sys.executable, "-c", SERVED], capture_output=True, text=True, check=True)
    assert done.stdout == "1 set()\n"
