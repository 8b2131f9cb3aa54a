"""Sweeps in populations, with real processes: how runs are grouped, and what happens when a population ends early."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import holder, is_stopped, wait_until
from rich.console import Console

from lr_lab.errors import UserError
from lr_lab.sweep.local import PRELOAD
from lr_lab.sweep.population import PopulationLauncher
from lr_lab.sweep.processes import start_server
from lr_lab.sweep.runs import Run, plan

REPOSITORY = Path(__file__).resolve().parents[2]

RunConfig = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True, scope="module")
def _server() -> None:
    start_server([*PRELOAD, "lr_lab.population.training", "lr_lab.data.digits", "lr_lab.models.mnist_cnn"])


@pytest.fixture
def runs(run_config: RunConfig) -> Callable[..., list[Run]]:
    """A function of overrides: the runs of a sweep with a job for each."""

    def of(*jobs: str) -> list[Run]:
        typed = [["data.limit=64", "model.width=0.1", *job.split()] for job in jobs]
        return plan([run_config(*job) for job in typed], typed)

    return of


def sweep(runs: list[Run], **arguments: Any) -> str:
    """Trains them by the launcher; what it printed."""
    out = io.StringIO()
    PopulationLauncher(**{"slots": 2, **arguments}).train(runs, Console(file=out, width=200))
    return out.getvalue()


def trained_as(runs: list[Run]) -> list[str]:
    return [run.result().get("trained_as", run.result()["status"]) for run in runs]


def test_populations_are_trained_as_one_and_the_rest_singly(runs: Callable[..., list[Run]]) -> None:
    jobs = ("lr=0.1", "lr=0.05 seed=1", "lr=0.1 optimizer=momentum", "lr=0.01 optimizer=rmsprop", "lr=1e7")
    some = runs(*jobs)
    printed = sweep(some)
    assert trained_as(some) == ["population"] * 3 + ["single", "population"]
    assert [run.result()["status"] for run in some] == ["completed"] * 4 + ["diverged"]
    assert printed.count("started   a population of 2 runs") == 2
    assert printed.count("completed") == 4
    assert printed.count("diverged") == 1
    before = [run.folder.result_file.stat().st_mtime_ns for run in some]
    sweep(some)
    assert [run.folder.result_file.stat().st_mtime_ns for run in some] == before


def test_from_the_command_line(tmp_path: Path) -> None:
    overrides = ("data.limit=64", "model.width=0.1", "epochs=2", f"output_dir={tmp_path}", "study=x", "lr=0.1,0.01")
    command = [sys.executable, "-m", "src.train", "-m", "hydra/launcher=population", *overrides]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x" / "results.csv").read_text().count("population") == 2


def test_a_population_that_is_killed_goes_on(runs: Callable[..., list[Run]]) -> None:
    some = runs(*(f"lr={lr} epochs=100 data.limit=200 batch_size=16" for lr in (0.1, 0.05, 0.02)))
    printed: list[str] = []
    thread = threading.Thread(target=lambda: printed.append(sweep(some, slots=1)))
    thread.start()
    wait_until(lambda: len(some[0].folder.history()) >= 2)
    os.kill(holder(some[0].folder), signal.SIGKILL)
    thread.join()
    assert "goes on: The process was killed (SIGKILL" in printed[0]
    assert printed[0].count("started   a population of 3 runs") == 2
    assert trained_as(some) == ["population"] * 3
    assert [row["epoch"] for row in some[0].folder.history()] == list(range(100))
    assert "going on after epoch" in some[0].folder.log_file.read_text()


def test_runs_of_a_population_that_fails_are_trained_singly(runs: Callable[..., list[Run]]) -> None:
    some = runs("lr=0.1", "lr=0.05")
    for run in some:  # begun before
        run.folder.write_result(run.result() | {"epochs_run": 1})
    place = some[0].folder.path.parent / ".population"
    place.mkdir()
    (place / "other.json").write_text(json.dumps([run.folder.path.name for run in some]))
    torch.save({"of": "another version"}, place / "other.ckpt")
    printed = sweep(some, slots=1)
    assert "the population of 2 runs failed, so they are trained singly: KeyError" in printed
    assert trained_as(some) == ["single"] * 2
    assert [run.result()["status"] for run in some] == ["completed"] * 2


@pytest.mark.slow
def test_what_training_singly_would_not_mend_is_not_tried(runs: Callable[..., list[Run]]) -> None:
    endless = "epochs=100000"  # so that it still trains when it is stopped, however slow this machine is
    some = runs(f"lr=0.1 {endless}", f"lr=0.05 {endless}")
    printed: list[str] = []
    thread = threading.Thread(target=lambda: printed.append(sweep(some, slots=1)))
    thread.start()
    wait_until(lambda: all(run.result()["epochs_run"] for run in some))
    (checkpoint,) = (some[0].folder.path.parent / ".population").glob("*.ckpt")
    trainer = holder(some[0].folder)
    os.kill(trainer, signal.SIGSTOP)
    wait_until(lambda: is_stopped(trainer))
    kept = torch.load(checkpoint)
    for record in kept["records"]:
        record["data_fingerprint"] = "of other data"
    torch.save(kept, checkpoint)
    os.kill(trainer, signal.SIGKILL)
    thread.join()
    assert [run.result()["status"] for run in some] == ["failed"] * 2
    assert all("The data have changed" in run.result()["error"] for run in some)
    assert printed[0].count("failed    ") == 2


def test_a_member_whose_folder_cannot_be_written_fails_alone(runs: Callable[..., list[Run]]) -> None:
    some = runs("lr=0.1", "lr=0.05", "lr=0.02")
    (some[0].folder.path / "history.csv").mkdir(parents=True)
    printed = sweep(some)
    assert [run.result()["status"] for run in some] == ["failed", "completed", "completed"]
    assert "history.csv cannot be written" in some[0].result()["error"]
    assert printed.count("failed    ") == 1


@pytest.fixture
def unreadable(tmp_path: Path) -> str:
    """Overrides that no run can be trained with: a picture of theirs cannot be read."""
    for name in ("dark", "light"):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "broken.png").write_text("no picture")
    return f"data=folder data.images={tmp_path / 'images'} data.channels=1 data.size=28 model.classes=2"


def test_max_failures_counts_populations_and_singles_together(runs: Callable[..., list[Run]], unreadable: str) -> None:
    """Both members of a population fail; of four runs singly there would be four failures."""
    some = runs(*(f"{unreadable} lr={lr} optimizer={name}" for name in ("sgd", "rmsprop") for lr in (0.1, 0.05)))
    printed = sweep(some, slots=1, max_failures=3)
    assert [run.result()["status"] for run in some] == ["failed"] * 3 + ["missing"]
    assert "trained singly" not in printed
    assert "The sweep stops here" in printed


def test_max_failures_stops_populations(runs: Callable[..., list[Run]], unreadable: str) -> None:
    some = runs(*(f"{unreadable} lr={lr} optimizer={name}" for name in ("sgd", "adam") for lr in (0.1, 0.05)))
    printed = sweep(some, slots=1, max_failures=1)
    assert [run.result()["status"] for run in some] == ["failed"] * 2 + ["missing"] * 2
    assert "The sweep stops here" in printed


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ({"convolution": "fft"}, "convolution=fft is not allowed; choose one of null, grouped, channels_last, matmul"),
        ({"graphs": "perhaps"}, "graphs=perhaps is not allowed; choose one of true, false"),
        ({"max_members": 0}, "max_members=0 is not allowed"),
        ({"slots": 0}, "slots=0 is not allowed"),
    ],
)
def test_a_refused_argument_is_one_sentence(
    runs: Callable[..., list[Run]], argument: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        sweep(runs("lr=0.1"), **argument)


def test_a_run_that_is_busy_elsewhere_is_waited_for(runs: Callable[..., list[Run]]) -> None:
    some = runs("lr=0.1", "lr=0.05", "lr=0.02")
    with some[1].folder.locked():
        thread = threading.Thread(target=lambda: sweep(some, slots=1))
        thread.start()
        wait_until(lambda: some[0].is_finished and some[2].is_finished)
        assert not some[1].is_finished
    thread.join()
    assert trained_as(some) == ["population", "single", "population"]
