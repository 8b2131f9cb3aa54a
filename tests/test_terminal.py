"""A reader who leaves does not end what is printed for him."""

import subprocess
import sys

_PROGRAM = """
import sys
from lr_lab.terminal import Terminal
terminal = Terminal()
for number in range(20_000):
    terminal.print(f"line {number}")
sys.stderr.write("went on")
"""


def test_printing_goes_on_without_a_reader() -> None:
    program = subprocess.Popen([sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert program.stdout is not None
    assert program.stderr is not None
    program.stdout.readline()
    program.stdout.close()
    assert program.stderr.read() == b"went on"
    assert program.wait() == 0
