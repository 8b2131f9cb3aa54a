"""Calls in processes of a server."""

import os
import subprocess
import sys
from pathlib import Path

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
