"""Finished runs whose inputs changed, at the start of a sweep and of a single run."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY

from lr_lab.errors import RunBusy
from lr_lab.run.training import train
from lr_lab.sweep.freshness import settle_finished
from lr_lab.sweep.runs import Run, plan

RunConfig = Callable[..., dict[str, Any]]

FORMULA = """
from dataclasses import dataclass
from lr_lab.schedule.sequences import FormulaSequence

@dataclass(frozen=True)
class Halving(FormulaSequence):
    name = "halving"

    def __call__(self, n: int) -> float:
        return self.lr / 2**n
"""


@pytest.fixture
def runs(run_config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Two finished runs of a person's own sequence, and one that was not trained."""
    monkeypatch.syspath_prepend(tmp_path)
    name = f"{tmp_path.name}_mine"
    (tmp_path / f"{name}.py").write_text(FORMULA)
    jobs = [[f"lr={lr}", "data.limit=64", "epochs=1", f"sequence._target_={name}.Halving"] for lr in (0.1, 0.2, 0.3)]
    found = plan([run_config(*job) for job in jobs], jobs)
    for run in found[:2]:
        train(dict(run.config))
    return found


def edit(runs: list[Run], tmp_path: Path) -> str:
    """Changes their formula; what it is called."""
    name = f"{tmp_path.name}_mine"
    (tmp_path / f"{name}.py").write_text(FORMULA.replace("2**n", "3**n"))
    return f"the code of {name}.Halving"


def said(runs: list[Run], retrain: bool = False) -> list[str]:
    lines: list[str] = []
    settle_finished(runs, retrain, lines.append)
    return lines


def test_nothing_changed_so_nothing_is_said(runs: list[Run]) -> None:
    assert said(runs) == []
    assert said(runs, retrain=True) == []
    assert [run.is_finished for run in runs] == [True, True, False]


def test_a_changed_formula_is_one_line_and_the_results_stay(runs: list[Run], tmp_path: Path) -> None:
    changed = edit(runs, tmp_path)
    assert said(runs) == [
        f"Since 2 finished runs were trained, this changed: {changed}; their results are old "
        "(retrain=true trains them anew): lr=0.1, lr=0.2."
    ]
    assert [run.is_finished for run in runs] == [True, True, False]


def test_retrain_removes_what_the_changed_runs_left(runs: list[Run], tmp_path: Path) -> None:
    edit(runs, tmp_path)
    (line,) = said(runs, retrain=True)
    assert "they are trained anew: lr=0.1, lr=0.2." in line
    for run in runs[:2]:
        assert not run.is_finished
        assert run.folder.inputs() is None
        assert not run.folder.checkpoint_file.exists()
        assert run.folder.history() == []


def test_runs_that_another_process_holds_are_not_removed(runs: list[Run], tmp_path: Path) -> None:
    edit(runs, tmp_path)
    with runs[0].folder.locked(), pytest.raises(RunBusy):
        settle_finished(runs, True, print)
    assert runs[0].is_finished


def test_runs_that_recorded_nothing_are_counted_and_used(runs: list[Run], tmp_path: Path) -> None:
    edit(runs, tmp_path)
    for run in runs[:2]:
        run.folder.inputs_file.unlink()
    assert said(runs, retrain=True) == [
        "2 finished runs did not record what they were made from; they count as unchanged."
    ]
    assert [run.is_finished for run in runs] == [True, True, False]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["local", "population", "single"])
def test_every_launcher_says_so_and_trains_anew(tmp_path: Path, launcher: str) -> None:
    module = tmp_path / "mine.py"
    module.write_text(FORMULA)
    sweep = [] if launcher == "single" else ["-m", f"hydra/launcher={launcher}"]
    rates = "lr=0.1" if launcher == "single" else "lr=0.1,0.2"
    short = ["epochs=3", "data.limit=64", "trainer.accelerator=cpu", "sequence._target_=mine.Halving"]

    def command(*more: str) -> str:
        call = [sys.executable, "-m", "src.train", *sweep, rates, *short, f"output_dir={tmp_path / 'outputs'}", *more]
        path = f"{REPOSITORY / 'src'}:{tmp_path}"
        done = subprocess.run(
            call, cwd=REPOSITORY, env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def rate() -> str:
        (history,) = (tmp_path / "outputs" / "first_look").glob("*lr0.1-*/history.csv")
        return history.read_text().splitlines()[-1].split(",")[1]

    assert "changed" not in command()
    assert float(rate()) == pytest.approx(0.1 / 4)
    module.write_text(FORMULA.replace("2**n", "3**n"))
    assert "this changed: the code of mine.Halving; their results are old" in command()
    assert float(rate()) == pytest.approx(0.1 / 4)
    assert "trained anew" in command("retrain=true")
    assert float(rate()) == pytest.approx(0.1 / 9)
    assert "changed" not in command("retrain=true")
