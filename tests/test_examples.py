"""The examples as real processes: the rates that they print, over a resume, by the closed form."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

Epochs = dict[int, float]


def run(example: str, folder: Path, *arguments: str) -> tuple[Epochs, Epochs]:
    """The rate and the validation loss of each epoch."""
    command = [sys.executable, str(REPOSITORY / "examples" / f"{example}.py"), *arguments]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1"}
    answer = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=250)
    assert answer.returncode == 0, answer.stderr
    rates, losses = (
        {int(epoch): float(value) for epoch, value in re.findall(rf"^epoch (\d+) {name} (\S+)$", answer.stdout, re.M)}
        for name in ("rate", "val_loss")
    )
    return rates, losses


def by_hand(losses: Epochs) -> list[float]:
    """Exponential by cutoff: r_n = 0.9^n 0.01; n grows where the loss changes by under c, and c becomes 0.2 c."""
    rates, advances, limit = [0.01], 0, 0.01 * losses[0]
    for epoch in range(1, len(losses)):
        rates.append(0.01 * 0.9**advances)
        if abs(losses[epoch] - losses[epoch - 1]) < limit:
            advances, limit = advances + 1, 0.2 * limit
    return rates


@pytest.mark.parametrize("example", ["lightning_module", "plain_loop"])
def test_an_example_has_the_rates_of_the_closed_form_over_a_resume(example: str, tmp_path: Path) -> None:
    begun, losses = run(example, tmp_path, "--epochs=6")
    assert begun[5] < begun[0]  # the rate has been lowered before the break
    resumed, later = run(example, tmp_path, f"--checkpoint={example}.ckpt")
    assert (list(begun), list(resumed)) == ([*range(6)], [*range(6, 12)])
    assert resumed[11] < begun[5]
    assert [*begun.values(), *resumed.values()] == pytest.approx(by_hand(losses | later))
