import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from lr_lab.errors import UserError
from lr_lab.run.folder import RunFolder
from lr_lab.run.parts import check_buildable
from lr_lab.run.training import BUSY, FAILED, attempt
from lr_lab.sweep.outcome import report_outcome
from lr_lab.sweep.pace import Pace, time_left
from lr_lab.sweep.runs import Run, last_line, plan

RunConfig = Callable[..., dict[str, Any]]


def leave_result(run: Run, **result: Any) -> None:
    blank = {**run.result(), "error": None}
    run.folder.path.mkdir(parents=True, exist_ok=True)
    run.folder.config_file.write_text("{}")
    run.folder.write_result({**blank, **result})


def test_plan_has_one_run_for_equal_jobs_and_tells_the_others_apart(run_config: RunConfig) -> None:
    grid = ((0.1, 0), (0.10, 0), (0.2, 0.5))
    overrides = [[f"lr={lr}", "study=s", f"++model.dropout={dropout}"] for lr, dropout in grid]
    runs = plan([run_config(*job) for job in overrides], overrides)

    assert [run.jobs for run in runs] == [[0, 1], [2]]
    assert [run.name for run in runs] == ["lr=0.1 model.dropout=0", "lr=0.2 model.dropout=0.5"]
    assert len({run.folder.path for run in runs}) == 2


def test_plan_names_a_single_run_by_its_folder(run_config: RunConfig) -> None:
    (run,) = plan([run_config("lr=0.1")], [["lr=0.1"]])
    assert run.name == run.folder.path.name


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["model=linear"], "model=linear does not take two samples"),
        (["optimizer.weight_decay=-1"], "weight_decay"),
        (["data.val_fraction=2"], "data.val_fraction=2"),
        (["strategy=plateau", "strategy.patience=-1"], "patience"),
        (["strategy=every_step", "sequence=exponential", "sequence.factor=7"], "sequence.factor"),
        (["strategy=every_step", "optimizer.momentum=-1"], "Invalid momentum"),
        (["strategy=every_step", "warmup=linear", "warmup.length=abc"], "warmup.length"),
        (["probes=descent"], "probes=descent follows every single weight"),
    ],
)
def test_refuse_finds_the_one_run_that_cannot_be_built(run_config: RunConfig, overrides: list[str], said: str) -> None:
    check_buildable([run_config(), run_config("lr=0.2", "strategy=every_step", "sequence=cosine")])
    with pytest.raises(UserError, match=said):
        check_buildable([run_config(), run_config(*overrides)])


def test_how_long_a_run_is_tells_runs_apart_too(run_config: RunConfig) -> None:
    warm = ("warmup=linear", "warmup.length=5")
    check_buildable([run_config(*warm, "epochs=20")])
    with pytest.raises(UserError, match=r"warmup\.length=5 is too long"):
        check_buildable([run_config(*warm, "epochs=20"), run_config(*warm, "epochs=3")])


def test_the_device_is_looked_at_where_the_runs_are_trained(run_config: RunConfig) -> None:
    config = run_config("trainer.accelerator=mps")  # of a Mac
    check_buildable([config], trained_here=False)
    with pytest.raises(UserError, match=r"trainer\.accelerator=mps is not available here"):
        check_buildable([config])


def test_attempt_says_how_it_ended(run_config: RunConfig) -> None:
    config = run_config("epochs=1", "data.limit=64")
    run = Run(config, {})
    with run.folder.locked():
        assert run.is_busy
        assert attempt(config)[0] == BUSY
    assert not run.is_busy
    assert attempt(config) == ("completed", None)
    assert run.is_finished

    status, reason = attempt(run_config("model=linear"))
    assert status == FAILED
    assert reason
    assert reason.startswith("model=linear does not take")


def test_a_failure_that_the_run_has_noted_itself_is_not_noted_twice(run_config: RunConfig) -> None:
    run = Run(run_config("data.limit=64"), {})
    run.folder.path.mkdir(parents=True)
    (run.folder.path / "tensorboard").write_text("in the way")
    _, reason = attempt(run.config)
    assert reason
    run.fail(reason)
    assert run.folder.log_file.read_text().count("failed: Traceback") == 1


def test_a_failure_is_noted_in_the_folder_but_not_under_another_process(run_config: RunConfig) -> None:
    run, other = Run(run_config(), {}), Run(run_config("seed=1"), {})
    run.fail("killed")
    assert json.loads(run.folder.result_file.read_text())["status"] == FAILED
    assert run.folder.config() == run.config
    assert run.folder.log_file.read_text().count("failed: killed") == 1

    leave_result(other, status="running")
    with other.folder.locked():
        other.fail("killed")
    assert json.loads(other.folder.result_file.read_text())["status"] == "running"
    assert other.result()["status"] == FAILED


def test_a_spoiled_result_counts_as_missing(run_config: RunConfig) -> None:
    run = Run(run_config(), {})
    leave_result(run, status="completed")
    assert run.is_finished
    run.folder.result_file.write_text('{"status": "comp')
    assert run.result()["status"] == "missing"


def test_close_shows_every_run_and_writes_results(run_config: RunConfig) -> None:
    overrides = [[f"lr={lr}", f"data.limit={limit}"] for lr in (0.1, 0.01) for limit in (64, 128)]
    runs = plan([run_config("study=s", *job) for job in overrides], overrides)
    done = {"val_accuracy": 0.9125, "best_val_accuracy": 0.95, "lr_updates": 7, "convergence_epoch": 4}
    leave_result(runs[0], status="completed", **done)
    leave_result(runs[1], status="diverged", val_accuracy=0.1, epochs_run=3)
    runs[2].fail("Traceback (most recent call last):\n  ...\nValueError: no such thing [really]\n")

    out = io.StringIO()
    failures = report_outcome(runs, Console(file=out, width=120))

    assert failures == 1
    lines = out.getvalue().splitlines()
    rows = [line.split() for line in lines if line.lstrip().startswith("0.")]
    assert rows == [
        ["0.1", "epoch", "64", "91.25%", "95.00%", "4", "7", "completed"],
        ["0.1", "epoch", "128", "10.00%", "0", "diverged", "after", "3"],
        ["0.01", "epoch", "64", "0", "failed"],
        ["0.01", "epoch", "128", "0", "missing"],
    ]
    assert "failed: lr=0.01 data.limit=64" in lines
    assert "  ValueError: no such thing [really]" in lines
    assert f"  log: {runs[2].folder.log_file}" in lines
    with (runs[0].folder.path.parent / "results.csv").open() as file:
        assert sorted(row["status"] for row in csv.DictReader(file)) == ["completed", "diverged", "failed"]


def test_time_left_worked_by_hand() -> None:
    # Two slots: one is free in 5 s, one now. 10 goes to the free one (till 10), 3 to the other (till 8), 4 there (12).
    assert time_left([5.0], [10.0, 3.0, 4.0], slots=2) == 12.0
    assert time_left([], [], slots=2) == 0.0


@given(
    running=st.lists(st.floats(0, 1e4), max_size=4),
    waiting=st.lists(st.floats(0, 1e4), max_size=20),
    spare=st.integers(1, 4),
)
def test_time_left_is_within_the_bounds_of_list_scheduling(
    running: list[float], waiting: list[float], spare: int
) -> None:
    slots = len(running) + spare
    left = time_left(running, waiting, slots)
    longest, work = max([*running, *waiting], default=0.0), sum(running) + sum(waiting)
    assert max(longest, work / slots) - 1e-6 <= left <= longest + work / slots + 1e-6


def result(name: str, model: str = "small", epochs_run: int = 0, wall: float = 0.0) -> dict[str, Any]:
    kind = {"data": "d", "model": model, "optimizer": "sgd", "batch_size": 64}
    return {**kind, "config_hash": name, "epochs": 10, "epochs_run": epochs_run, "wall_seconds": wall}


def test_pace_takes_the_nearest_that_is_known() -> None:
    pace = Pace()
    assert pace.seconds_left(result("a")) is None
    pace.observe(result("a", epochs_run=2, wall=4.0))
    pace.observe(result("b", epochs_run=1, wall=4.0))
    pace.observe(result("b", epochs_run=2, wall=8.0))  # replaces what was known of b
    assert pace.seconds_left(result("a", epochs_run=2)) == 8 * 2.0  # its own
    assert pace.seconds_left(result("a", epochs_run=2), since=0.5) == 8 * 2.0 - 0.5
    assert pace.seconds_left(result("c")) == 10 * 3.0  # its like
    assert pace.seconds_left(result("d", model="large")) == 10 * 3.0  # anything
    pace.observe(result("e", model="large", epochs_run=1, wall=100.0))
    assert pace.seconds_left(result("d", model="large")) == 10 * 100.0


def test_last_line_of_a_traceback() -> None:
    assert last_line("Traceback ...\n  File\nValueError: no\n") == "ValueError: no"


def test_results_are_whole_while_a_folder_is_empty(run_config: RunConfig) -> None:
    run = Run(run_config(), {})
    assert run.result()["status"] == "missing"
    assert not RunFolder(run.folder.path).path.exists()
