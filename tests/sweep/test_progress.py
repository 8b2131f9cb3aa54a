"""The states of a sweep's runs, moved by hand."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from lr_lab.run.summary import summarise
from lr_lab.sweep.progress import Progress
from lr_lab.sweep.runs import Run

Four = tuple[Run, Run, Run, Run]


@pytest.fixture
def runs(run_config: Callable[..., dict[str, Any]]) -> Four:
    """Four runs, the first of which is finished."""
    one, two, three, four = (Run(run_config(f"lr={lr}"), {"lr": str(lr)}) for lr in (0.1, 0.03, 0.01, 0.003))
    finish(one)
    return one, two, three, four


def finish(run: Run) -> None:
    metrics = {"train_loss": 0.5, "val_loss": 0.25, "val_accuracy": 0.9, "wall_seconds": 6.0, "epochs_run": 3}
    run.folder.write_result({**summarise(run.config, []), **metrics, "status": "completed"})


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def progress(runs: Four, out: io.StringIO) -> Progress:
    return Progress(runs, slots=2, console=Console(file=out, width=120), max_failures=1)


def test_each_run_is_in_one_state_until_all_have_ended(progress: Progress, runs: Four, out: io.StringIO) -> None:
    _, two, three, four = runs
    with progress:
        assert (progress.waiting, progress.running, progress.elsewhere) == ([two, three, four], [], [])
        progress.start(two, 0)
        progress.start(three, 1)
        progress.leave(four)
        progress.leave(four)
        assert (progress.waiting, progress.running, progress.elsewhere) == ([], [two, three], [four])
        assert progress.at(1) == [three]
        progress.wait(three)
        assert (progress.waiting, progress.at(1)) == ([three], [])
        progress.start(four, 1)
        for run in (two, three, four):
            assert not progress.is_over
            finish(run)
            progress.end(run)
        assert progress.is_over
        assert not progress.stops()
    assert [line.split()[0] for line in out.getvalue().splitlines()] == [
        "4",  # 4 runs, 1 of them finished before
        *["started", "started", "elsewhere", "started"],
        *["completed", "completed", "completed"],
    ]


def test_a_sweep_stops_once_enough_runs_have_failed(progress: Progress, runs: Four, out: io.StringIO) -> None:
    runs[1].fail("ValueError: no")
    progress.start(runs[1], 0)
    assert not progress.stops()
    progress.end(runs[1])
    assert progress.failed == 1
    assert progress.stops()
    assert out.getvalue().endswith("The sweep stops here; started again, it goes on from here.\n")


def test_a_run_does_not_end_twice(progress: Progress, runs: Four) -> None:
    finish(runs[1])
    progress.end(runs[1])
    with pytest.raises(AssertionError, match=r"lr=0\.03 has ended already"):
        progress.end(runs[1])


def test_runs_that_are_trained_as_one_share_a_place_and_a_line(runs: Four) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120, color_system=None)
    with Progress(runs, slots=1, console=console) as progress:
        for run in runs[1:3]:
            progress.start(run, 0, announce=False)
        progress.refresh()
    assert progress.at(0) == [*runs[1:3]]
    assert "1 of 4 done, 1 running, 0 failed" in screen.getvalue()
    assert "0  lr=0.03" in screen.getvalue()
    assert "lr=0.01" not in screen.getvalue()
