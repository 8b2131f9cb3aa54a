"""Tab completion in a real bash."""

import shutil
import subprocess
import sys

import pytest
from conftest import REPOSITORY

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")

# Readline gives a completion function the line, the place of the cursor, and the signs that part words.
_TAB = """
source completion.bash
COMP_LINE=$1; COMP_POINT=${#1}
_lr_lab_completion 2> /dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("-m src.tr", ["src.train"]),
        ("-m src.train strategy=cu", ["cutoff"]),
        ("-m src.train -m lr=0.1 strategy=epoch,cu", ["epoch,cutoff"]),
        ("-m src.train probes=[sharpness,des", ["[sharpness,descent"]),
        ("-m src.train sequence=cosine sequence.en", ["sequence.end_factor="]),
        ("-m src.report study=descent", ["descent_line"]),
        ("setup.py strategy=cu", []),
    ],
)
def test_tab_offers_what_fits(typed: str, offered: list[str]) -> None:
    command = ["bash", "--norc", "-c", _TAB, "bash", f"{sys.executable} {typed}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert done.stdout.split() == offered


def test_the_script_that_hydra_would_install_is_not_offered() -> None:
    """It completes behind `python file.py` only."""
    command = [sys.executable, "-m", "src.train", "-sc", "install=bash"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.returncode == 2
    assert f"source {REPOSITORY / 'completion.bash'}" in done.stderr
