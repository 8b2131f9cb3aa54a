"""A reader who leaves does not end the program that prints."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import sys
from rich.console import Console
from lr_lab.terminal import keep_printing_harmless
keep_printing_harmless()
console = Console()
for number in range(1_000):
    console.print(f"größe {number}")
sys.stderr.write("went on")
"""
_FULL = Path("/dev/full")


def test_printing_goes_on_without_a_reader() -> None:
    program = subprocess.Popen([sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert program.stdout is not None
    assert program.stderr is not None
    program.stdout.readline()
    program.stdout.close()
    assert program.stderr.read() == b"went on"
    assert program.wait() == 0


@pytest.mark.skipif(not _FULL.exists(), reason="the system has no device that is always full")
def test_a_full_disk_is_told_once() -> None:
    with _FULL.open("w") as full:
        done = subprocess.run([sys.executable, "-c", _PROGRAM], stdout=full, stderr=subprocess.PIPE, check=True)
    told = b"Standard output cannot be written (No space left on device); the work goes on.\n"
    assert done.stderr == told + b"went on"


def test_a_terminal_of_few_signs_shows_question_marks() -> None:
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", _PROGRAM], env=env, capture_output=True, check=True)
    assert done.stdout.startswith(b"gr??e 0\ngr??e 1\n")
    assert len(done.stdout.splitlines()) == 1_000


def test_a_closed_output_is_no_mistake() -> None:
    command = f"{sys.executable} -c '{_PROGRAM}' >&-"
    assert subprocess.run(command, shell=True, capture_output=True, check=True).stderr == b"went on"
