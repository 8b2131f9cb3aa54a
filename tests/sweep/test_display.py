"""The display of a sweep on a terminal, from results on disk."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from lr_lab.run.summary import summarise
from lr_lab.sweep.display import Display, duration
from lr_lab.sweep.runs import Run


def test_a_terminal_shows_how_far_the_sweep_is(run_config: Callable[..., dict[str, Any]]) -> None:
    runs = [Run(run_config(f"lr={lr}"), {"lr": str(lr)}) for lr in (0.1, 0.03, 0.01, 0.003)]
    finished, failed, running, waiting = runs
    metrics = {"train_loss": 0.5, "val_loss": 0.25, "val_accuracy": 0.9}
    for run, status, epochs in ((finished, "completed", 3), (running, "running", 1)):
        result = {**summarise(run.config, []), **metrics, "status": status, "epochs_run": epochs}
        run.folder.write_result(result | {"wall_seconds": 2.0 * epochs})
    failed.fail("ValueError: no")
    screen = io.StringIO()
    with Display(Console(file=screen, force_terminal=True, width=120, color_system=None), 2, 0, 4) as display:
        display.ended(finished)
        display.ended(failed)
        display.refresh({0: running}, [waiting])
    shown = screen.getvalue()
    assert "4 runs; 2 at a time" in shown
    assert "completed lr=0.1  epoch 3/3  train 0.5000  val 0.2500  90.00%" in shown
    assert "failed    lr=0.03: ValueError: no" in shown
    # Two seconds an epoch: the one that waits takes six, in the other slot, and that one four.
    assert "1 of 4 done, 1 running, 1 failed, 6 s left" in shown
    assert "0  lr=0.01  epoch 1/3  train 0.5000  val 0.2500  90.00%" in shown


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (3569, "59 min"), (3571, "1 h 00 min"), (7500, "2 h 05 min")],
)
def test_time_as_a_person_says_it(seconds: float, said: str) -> None:
    assert duration(seconds) == said
