import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback_slurm import Unavailable, loopback_slurm
from processes import result_of
from rich.console import Console

from lr_lab.errors import UserError
from lr_lab.run.config import compose
from lr_lab.run.folder import RunFolder, run_path
from lr_lab.run.training import train
from lr_lab.sweep.runs import Run
from lr_lab.sweep.slurm import SlurmLauncher
from lr_lab.sweep.slurm_jobs import (
    Job,
    JobBook,
    JobState,
    QueueSilent,
    Refused,
    Training,
    cancel_line,
    parse_queue,
    queue,
)

REPOSITORY = Path(__file__).resolve().parents[2]


def test_queue_is_read_by_job() -> None:
    text = "7|RUNNING|None\n8_0|COMPLETED|None\n8_1|PENDING|Resources\n8_2|PENDING|launch failed requeued held\n"
    jobs = parse_queue(text)
    assert jobs["8_2"] == JobState("PENDING", "launch failed requeued held")
    assert [number for number, state in jobs.items() if state.has_ended] == ["8_0"]
    assert parse_queue("") == {}


@pytest.mark.parametrize("state", ["COMPLETING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SUSPENDED"])
def test_job_on_its_way_has_not_ended(state: str) -> None:
    assert not JobState(state, "None").has_ended


def test_cancel_line_names_only_the_jobs_given() -> None:
    numbers = ["12", "13_9", "13_10", "13_2", "13_0", "13_11", "14_5"]
    assert cancel_line(numbers) == "scancel 12 '13_[0,2,9-11]' '14_[5]'"


def test_job_book_reads_back_and_survives_being_spoiled(tmp_path: Path) -> None:
    book = JobBook(tmp_path / "study")
    assert book.read() == {}
    with book.locked():
        book.write({"a": Job("3_0", None), "b": Job("3_1", 5)})
    assert book.read() == {"a": Job("3_0", None), "b": Job("3_1", 5)}
    for spoiled in ("{", "[]", '{"a": 1}', '{"a": {"number": "3"}}'):
        (book.folder / "jobs.json").write_text(spoiled)
        assert book.read() == {}


def test_silent_queue_is_no_empty_queue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(QueueSilent, match="squeue"):
        queue()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"cpus_per_run": 0}, "cpus_per_run=0"),
        ({"time_limit": 1.5}, "time_limit=1.5"),
        ({"parallel": 0}, "parallel=0"),
        ({"array_size": True}, "array_size=true"),
        ({"gpus_per_run": 2}, "one GPU at most"),
        ({"gpus_per_run": "a100:2"}, "one GPU at most"),
        ({"time_limit": 1, "requeue_before": 60}, "no time to train"),
        ({"poll": 0}, "poll=0"),
    ],
)
def test_arguments_are_refused_in_a_sentence(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        SlurmLauncher(**arguments).train([], Console())


def test_missing_tools_are_said(
    run_config: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs = [Run(run_config(), {})]
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="sbatch"):
        SlurmLauncher().train(runs, Console())
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"pip install -e \.\[slurm\]"):
        SlurmLauncher().train(runs, Console())


def test_job_leaves_its_outcome_in_the_run_folder(run_config: Callable[..., dict[str, Any]]) -> None:
    pytest.importorskip("submitit")
    job = Training(run_config("epochs=1"), threads=1)
    assert job.checkpoint().result() == "completed"
    assert result_of(RunFolder(run_path(job.config)))["status"] == "completed"

    # Refused before the run's folder is held, so that nothing but the job itself can note it.
    unfit = Training(run_config("epochs=1", "model.classes=3"), threads=1)
    with pytest.raises(RuntimeError, match="classes"):
        unfit()
    result = result_of(RunFolder(run_path(unfit.config)))
    assert (result["status"], "classes" in result["error"]) == ("failed", True)


class SmallCluster:
    """Stands for Slurm: holds `limit` jobs at most, and at each look does the next one in this process, or loses it."""

    def __init__(self, limit: int, lost: tuple[str, ...] = ()) -> None:
        self.limit = limit
        self.lost = lost
        self.jobs: dict[str, Callable[[], Any]] = {}
        self.submitted = 0

    def submit(self, executor: Any, work: list[Callable[[], Any]]) -> list[str]:
        if len(self.jobs) + len(work) > self.limit:
            raise Refused("no more for now")
        numbers = [str(self.submitted + count) for count in range(1, len(work) + 1)]
        self.submitted += len(work)
        self.jobs |= dict(zip(numbers, work, strict=True))
        return numbers

    def queue(self) -> dict[str, JobState]:
        states = dict.fromkeys(self.jobs, JobState("PENDING", "Priority"))
        for number in list(self.jobs)[:1]:
            work = self.jobs.pop(number)
            if number not in self.lost:
                with contextlib.suppress(RuntimeError):
                    work()
        return states


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Console:
    """Where the launcher speaks to, on a machine that seems to have Slurm."""
    pytest.importorskip("submitit")
    for tool in ("sbatch", "squeue", "srun"):
        (tmp_path / tool).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return Console(file=io.StringIO(), width=200)


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_what_the_cluster_refuses_waits_its_turn(
    run_config: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, console: Console
) -> None:
    cluster = SmallCluster(limit=2)
    monkeypatch.setattr("lr_lab.sweep.slurm.submit", cluster.submit)
    monkeypatch.setattr("lr_lab.sweep.slurm.queue", cluster.queue)
    runs = [Run(run_config("epochs=1", f"seed={seed}"), {"seed": str(seed)}) for seed in range(3)]
    SlurmLauncher(array_size=1, poll=0.01).train(runs, console)
    assert [run.result()["status"] for run in runs] == ["completed"] * 3
    assert cluster.submitted == 3
    assert said(console).count("no more for now") == 1

    runs[0].folder.result_file.unlink()
    cluster.limit = 0
    with pytest.raises(Refused):
        SlurmLauncher(poll=0.01).train(runs, console)


def test_failure_of_before_is_not_taken_for_that_of_a_lost_job(
    run_config: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, console: Console
) -> None:
    cluster = SmallCluster(limit=9, lost=("1",))
    monkeypatch.setattr("lr_lab.sweep.slurm.submit", cluster.submit)
    monkeypatch.setattr("lr_lab.sweep.slurm.queue", cluster.queue)
    # One whose job is lost, one whose job fails by itself, one that is trained.
    missing = f"data.root={tmp_path / 'nowhere'}"
    configs = [run_config("seed=1"), run_config("data=mnist", missing), run_config("seed=2", "epochs=1")]
    runs = [Run(config, {"number": str(number)}) for number, config in enumerate(configs)]
    for config in configs[:2]:
        Run(config, {}).fail("reason of before")
    SlurmLauncher(poll=0.01).train(runs, console)
    lost, failed, completed = (run.result() for run in runs)
    assert (lost["status"], "job 1 left the queue" in lost["error"]) == ("failed", True)
    assert (failed["status"], "nowhere" in failed["error"]) == ("failed", True)
    assert completed["status"] == "completed"


def test_run_with_a_job_is_not_submitted_again(
    run_config: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, console: Console
) -> None:
    cluster = SmallCluster(limit=9)
    monkeypatch.setattr("lr_lab.sweep.slurm.submit", cluster.submit)
    monkeypatch.setattr("lr_lab.sweep.slurm.queue", cluster.queue)
    runs = [Run(run_config("epochs=1", f"seed={seed}"), {"seed": str(seed)}) for seed in range(2)]
    book = JobBook(runs[0].folder.path.parent)
    with book.locked():
        numbers = cluster.submit(None, [Training(runs[0].config, threads=1)])
        book.write({runs[0].folder.path.name: Job(numbers[0], None)})
    SlurmLauncher(poll=0.01).train(runs, console)
    assert cluster.submitted == 2
    assert [run.result()["status"] for run in runs] == ["completed"] * 2
    assert "in the queue from before: 1; to cancel: scancel 1\n" in said(console)


@pytest.fixture(scope="module")
def slurm() -> Iterator[dict[str, str]]:
    pytest.importorskip("submitit")
    with contextlib.ExitStack() as stack:
        try:
            environment = stack.enter_context(loopback_slurm())
        except Unavailable as reason:
            pytest.skip(f"no Slurm here: {reason}")
        yield environment


class Sweep:
    """Four runs of one rate each, as a person would start them."""

    rates = (0.1, 0.05, 0.02, 0.01)
    epochs = 100  # long enough to come in between, also on a fast machine

    def __init__(self, output_dir: Path, environment: dict[str, str]) -> None:
        self.environment = environment | {"OMP_NUM_THREADS": "1"}
        self.drivers: list[subprocess.Popen[bytes]] = []
        self.common = [f"epochs={self.epochs}", "data.limit=64", "trainer.accelerator=cpu", f"output_dir={output_dir}"]
        self.folders = {rate: RunFolder(run_path(self.config(rate))) for rate in self.rates}
        self.output = output_dir.parent / "output"

    def config(self, rate: float) -> dict[str, Any]:
        return compose(*self.common, f"lr={rate}")

    def start(self, *overrides: str) -> "subprocess.Popen[bytes]":
        rates = f"lr={','.join(map(str, self.rates))}"
        command = [sys.executable, "-m", "src.train", "-m", "hydra/launcher=slurm", "hydra.launcher.poll=1", rates]
        with self.output.open("wb") as output:
            driver = subprocess.Popen(
                [*command, *self.common, *overrides], stdout=output, stderr=output, cwd=REPOSITORY, env=self.environment
            )
        self.drivers.append(driver)
        return driver

    def stop(self) -> None:
        """Leaves nothing behind, however the test went."""
        for driver in self.drivers:
            driver.kill()
            driver.wait()

    def said(self) -> str:
        return self.output.read_text()

    def job(self, rate: float) -> str:
        book = JobBook(self.folders[rate].path.parent)
        return book.read()[self.folders[rate].path.name].number

    def tell(self, *command: str) -> None:
        subprocess.run(command, check=True, env=self.environment)

    def wait_for(self, condition: Callable[[], Any], driver: "subprocess.Popen[bytes]", seconds: float = 240) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert driver.poll() is None, f"ended with {driver.returncode}: {self.said()}"
            assert time.monotonic() < end, self.said()
            time.sleep(0.1)

    def trains(self, rate: float) -> Callable[[], bool]:
        return lambda: len(self.folders[rate].history()) >= 2

    def kill(self, rate: float) -> None:
        """SIGKILL to the process that trains, as the system does when memory runs out."""
        _, _, index = self.job(rate).partition("_")
        killed = 0
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (process / "cmdline").read_bytes().split(b"\0")
                mine = f"SLURM_ARRAY_TASK_ID={index}".encode() in (process / "environ").read_bytes().split(b"\0")
                if mine and b"submitit.core._submit" in words and b"python" in words[0]:
                    os.kill(int(process.name), signal.SIGKILL)
                    killed += 1
        assert killed == 1

    def resumed_after(self, rate: float) -> list[int]:
        return [int(epochs) for epochs in re.findall(r"going on after epoch (\d+)", self.log(rate))]

    def log(self, rate: float) -> str:
        return self.folders[rate].log_file.read_text()


@pytest.fixture
def sweep(slurm: dict[str, str], tmp_path: Path) -> Iterator[Sweep]:
    sweep = Sweep(tmp_path / "outputs", slurm)
    yield sweep
    sweep.stop()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_sweep_survives_what_happens_on_a_cluster(sweep: Sweep, tmp_path: Path) -> None:
    requeued, killed, cancelled, timed_out = sweep.rates

    driver = sweep.start()
    sweep.wait_for(lambda: "submitted: 4;" in sweep.said(), driver)
    driver.send_signal(signal.SIGINT)
    assert driver.wait(60) == 130
    numbers = [sweep.job(rate) for rate in sweep.rates]
    assert cancel_line(numbers) in sweep.said()

    driver = sweep.start()
    sweep.wait_for(lambda: "in the queue from before: 4;" in sweep.said(), driver)
    sweep.wait_for(sweep.trains(requeued), driver)
    sweep.tell("scontrol", "requeue", sweep.job(requeued))
    sweep.wait_for(sweep.trains(killed), driver)
    sweep.kill(killed)
    sweep.tell("scancel", sweep.job(cancelled))
    sweep.wait_for(sweep.trains(timed_out), driver)
    # What Slurm sends before the time limit.
    sweep.tell("scancel", "--signal=USR2", sweep.job(timed_out))
    assert driver.wait(600) == 1
    said = sweep.said()
    assert "submitted" not in said
    assert numbers == [sweep.job(rate) for rate in sweep.rates]
    results = {rate: result_of(folder) for rate, folder in sweep.folders.items()}
    assert [results[rate]["status"] for rate in sweep.rates] == ["completed", "failed", "failed", "completed"]
    assert "ended as FAILED" in results[killed]["error"]
    assert re.search(r"left the queue|ended as CANCELLED", results[cancelled]["error"])
    assert said.count("\nfailed: ") == 2
    for rate in (requeued, timed_out):
        assert sweep.resumed_after(rate)
        assert min(sweep.resumed_after(rate)) >= 2

    driver = sweep.start()
    assert driver.wait(600) == 0, sweep.said()
    said = sweep.said()
    assert "4 runs, 2 of them finished before" in said
    assert "submitted: 2;" in said
    assert min(sweep.resumed_after(killed)) >= 2
    for rate, folder in sweep.folders.items():
        assert result_of(folder)["status"] == "completed", rate
        assert [row["epoch"] for row in folder.history()] == list(range(sweep.epochs))
    undisturbed = sweep.config(requeued) | {"output_dir": str(tmp_path / "undisturbed")}
    train(undisturbed)
    for row, expected in zip(
        sweep.folders[requeued].history(), RunFolder(run_path(undisturbed)).history(), strict=True
    ):
        assert row | {"seconds": 0} == expected | {"seconds": 0}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_refusal_of_sbatch_is_a_sentence(sweep: Sweep) -> None:
    driver = sweep.start("hydra.launcher.partition=nowhere")
    assert driver.wait(200) == 1
    assert re.search(r"^error: sbatch does not take the runs: .*partition", sweep.said(), re.MULTILINE)
    assert "Traceback" not in sweep.said()
    assert json.loads((sweep.folders[0.1].path.parent / ".slurm" / "jobs.json").read_text()) == {}
