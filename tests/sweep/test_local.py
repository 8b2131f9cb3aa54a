"""Sweeps on this machine, with real processes: what each fault costs, and what starting again does.

Not in a folder called hydra_plugins: Hydra would take the tests for plugins. Our own tests come first: the server that
all processes are forked from then has torch imported for all of them.
"""

import io
import math
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from hydra import version
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.test_utils.launcher_common_tests import BatchedSweeperTestSuite, IntegrationTestSuite, LauncherTestSuite
from processes import holder, wait_until
from rich.console import Console

from lr_lab.errors import UserError
from lr_lab.run.folder import Row, RunFolder
from lr_lab.run.training import UNWRITABLE, train
from lr_lab.sweep.launcher import Terminated, _stoppable
from lr_lab.sweep.local import PRELOAD, LocalLauncher, _refusal_and_gpus, _Sweep, cpu_cores
from lr_lab.sweep.processes import Answer, Pool, start_server
from lr_lab.sweep.runs import Run, last_line, plan

REPOSITORY = Path(__file__).resolve().parents[2]

RunConfig = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True, scope="module")
def _server() -> None:
    start_server([*PRELOAD, "lr_lab.data.digits", "lr_lab.models.mnist_cnn"])


@pytest.fixture
def runs(run_config: RunConfig) -> Callable[..., list[Run]]:
    """A function of overrides: a run for each of four rates."""

    def of(*overrides: str, rates: tuple[float, ...] = (0.1, 0.03, 0.01, 0.003)) -> list[Run]:
        jobs = [[f"lr={lr}", "data.limit=128", *overrides] for lr in rates]
        return plan([run_config(*job) for job in jobs], jobs)

    return of


def sweep(runs: list[Run], **arguments: Any) -> str:
    """Trains them by the launcher; what it printed."""
    out = io.StringIO()
    LocalLauncher(**{"slots": 2, **arguments}).train(runs, Console(file=out, width=200))
    return out.getvalue()


def statuses(runs: list[Run]) -> list[str]:
    return [run.result()["status"] for run in runs]


def history(folder: RunFolder) -> list[Row]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in folder.history()]


def undisturbed(run: Run, elsewhere: Path) -> list[Row]:
    """The history that this run has when it is trained here, at one go."""
    config = {**run.config, "output_dir": str(elsewhere)}
    train(config)
    return history(Run(config, {}).folder)


# Processes


def answer_of(function: Callable[..., Any], *arguments: Any, environment: dict[str, str] | None = None) -> Any:
    with Pool([environment or {}]) as pool:
        pool.start(0, function, *arguments)
        ((slot, answer),) = pool.wait()
    assert slot == 0
    return answer


def test_a_call_answers_from_a_process_of_its_own() -> None:
    assert answer_of(os.getpid).value not in (None, os.getpid())
    large = "x" * 1_000_000  # more than a pipe holds
    assert answer_of(lambda text: text + "y", large).value == large + "y"


def test_variables_set_after_the_server_started_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SET_LATE", "here")
    answer = answer_of(
        lambda: (os.environ["SET_LATE"], os.environ["CUDA_VISIBLE_DEVICES"]), environment={"CUDA_VISIBLE_DEVICES": "3"}
    )
    assert answer.value == ("here", "3")


def test_what_a_call_prints_goes_to_its_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "new" / "call.log"

    def speak() -> None:
        print("from Python")
        os.system("echo from a program; echo complaint >&2")

    with Pool([{}]) as pool:
        pool.start(0, speak, output=output)
        pool.wait()
    assert sorted(output.read_text().splitlines()) == ["complaint", "from Python", "from a program"]
    assert capfd.readouterr() == ("", "")


def raise_error() -> None:
    raise ValueError("no such thing")


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (raise_error, "ValueError: no such thing"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "SIGKILL, by somebody or by the system for want of memory"),
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), "SIGSEGV"),
        (lambda: os._exit(3), "exit code 3"),
        (lambda: sys.exit(4), "exit code 4"),
    ],
)
def test_a_call_that_does_not_return_says_why(function: Callable[[], Any], said: str) -> None:
    answer = answer_of(function)
    assert answer.value is None
    assert said in answer.error


def test_leaving_a_pool_ends_its_processes() -> None:
    with Pool([{}, {}]) as pool:
        pool.start(0, time.sleep, 600)
        pool.start(1, time.sleep, 600)
        assert pool.free == []
        assert pool.wait(0.1) == []
        children = multiprocessing.active_children()
    assert len(children) >= 2
    assert not any(child.is_alive() for child in children)


# Sweeps


def test_a_sweep_trains_each_run_once(runs: Callable[..., list[Run]], tmp_path: Path) -> None:
    first = runs("epochs=2")
    printed = sweep(first)
    assert statuses(first) == ["completed"] * 4
    assert history(first[0].folder) == undisturbed(first[0], tmp_path / "elsewhere")
    assert "4 runs; 2 at a time" in printed
    assert printed.count("started") == printed.count("completed") == 4

    written = [run.folder.result_file.stat().st_mtime_ns for run in first]
    assert sweep(runs("epochs=2")) == ""
    assert [run.folder.result_file.stat().st_mtime_ns for run in first] == written


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_killed_run_is_one_failed_row_and_goes_on_when_started_again(
    number: signal.Signals, runs: Callable[..., list[Run]], tmp_path: Path
) -> None:
    victim, *others = first = runs("epochs=25")
    printed: list[str] = []
    thread = threading.Thread(target=lambda: printed.append(sweep(first)))
    thread.start()
    wait_until(lambda: victim.result()["epochs_run"] >= 2)
    os.kill(holder(victim.folder), number)
    thread.join()

    assert statuses(first) == ["failed", "completed", "completed", "completed"]
    reason = (victim.folder.result() or {})["error"]
    assert number == signal.SIGTERM or "SIGKILL" in reason  # Lightning ends a run in its own way on SIGTERM
    assert f"failed: {reason}" in victim.folder.log_file.read_text()
    assert "failed    lr=0.1" in printed[0]
    epochs_kept = (victim.folder.result() or {})["epochs_run"]
    assert epochs_kept >= 2

    written = [run.folder.result_file.stat().st_mtime_ns for run in others]
    again = runs("epochs=25")
    sweep(again)
    assert statuses(again) == ["completed"] * 4
    assert f"going on after epoch {epochs_kept}" in victim.folder.log_file.read_text()
    assert history(victim.folder) == undisturbed(victim, tmp_path / "elsewhere")
    assert [run.folder.result_file.stat().st_mtime_ns for run in others] == written


def test_a_run_that_raises_leaves_its_traceback_and_the_others_go_on(runs: Callable[..., list[Run]]) -> None:
    first = runs("epochs=1")
    first[1].folder.path.mkdir(parents=True)
    (first[1].folder.path / "history.csv").mkdir()  # nothing can be renamed to this
    first[2].folder.path.mkdir(parents=True)
    (first[2].folder.path / "tensorboard").write_text("in the way")
    printed = sweep(first)
    assert statuses(first) == ["completed", "failed", "failed", "completed"]
    assert "history.csv cannot be written" in first[1].result()["error"]
    assert "Traceback (most recent call last)" in first[2].result()["error"]
    assert last_line(first[2].result()["error"]) in printed

    (first[1].folder.path / "history.csv").rmdir()
    (first[2].folder.path / "tensorboard").unlink()
    again = runs("epochs=1")
    sweep(again)
    assert statuses(again) == ["completed"] * 4


def test_a_sweep_stops_after_max_failures(runs: Callable[..., list[Run]]) -> None:
    first = runs("epochs=1")
    for run in first[:2]:
        run.folder.path.mkdir(parents=True)
        (run.folder.path / "history.csv").mkdir()
    printed = sweep(first, slots=1, max_failures=2)
    assert statuses(first) == ["failed", "failed", "missing", "missing"]
    assert "The sweep stops here" in printed


def test_spoiled_files_cost_an_epoch_at_most(runs: Callable[..., list[Run]], tmp_path: Path) -> None:
    one, two = first = runs("epochs=4", rates=(0.1, 0.01))
    expected = [undisturbed(run, tmp_path / "elsewhere") for run in first]
    sweep(first)
    one.folder.result_file.write_text('{"status": "compl')
    two.folder.result_file.write_text("")
    shutil.copy(two.folder.checkpoint_file, two.folder.previous_checkpoint_file)
    two.folder.checkpoint_file.write_bytes(two.folder.checkpoint_file.read_bytes()[:1000])
    again = runs("epochs=4", rates=(0.1, 0.01))
    sweep(again)
    assert statuses(again) == ["completed", "completed"]
    assert [history(run.folder) for run in again] == expected


def test_two_sweeps_at_once_never_train_a_run_twice(runs: Callable[..., list[Run]]) -> None:
    both = [runs("epochs=3"), runs("epochs=3")]
    threads = [threading.Thread(target=sweep, args=(part,)) for part in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [statuses(part) for part in both] == [["completed"] * 4] * 2
    for run in both[0]:
        log = run.folder.log_file.read_text()
        assert [log.count(f"epoch {epoch}, ") for epoch in range(3)] == [1, 1, 1]


def test_one_sweep_takes_over_what_another_process_drops(runs: Callable[..., list[Run]]) -> None:
    (run,) = first = runs("epochs=1", rates=(0.1,))
    with run.folder.locked():
        thread = threading.Thread(target=sweep, args=(first,))
        thread.start()
        wait_until(lambda: run.folder.log_file.exists())
        thread.join(timeout=2)
        assert thread.is_alive()
        assert run.folder.result() is None
    thread.join()
    assert statuses(first) == ["completed"]


def test_nothing_is_trained_if_one_run_cannot_be_built(run_config: RunConfig) -> None:
    first = plan([run_config(), run_config("model=linear")], [["model=mnist_cnn"], ["model=linear"]])
    with pytest.raises(UserError, match="model=linear does not take two samples"):
        sweep(first)
    assert not any(run.folder.path.exists() for run in first)


@pytest.mark.parametrize("argument", [{"slots": 0}, {"per_gpu": None}, {"max_failures": "x"}, {"slots": True}])
def test_an_argument_out_of_range_is_refused(argument: dict[str, Any], runs: Callable[..., list[Run]]) -> None:
    with pytest.raises(UserError, match=f"hydra.launcher.{next(iter(argument))}="):
        sweep(runs(), **argument)


def test_the_gpus_are_those_that_this_process_may_use(run_config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5, 7")
    monkeypatch.setattr("lr_lab.run.parts.check_buildable", lambda configs: ["odd"])
    assert _refusal_and_gpus([run_config("trainer.accelerator=auto")]) == (None, ["5", "7"], ["odd"])
    assert _refusal_and_gpus([run_config("trainer.accelerator=cpu")]) == (None, [], ["odd"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert _refusal_and_gpus([run_config("trainer.accelerator=auto")]) == (None, ["0", "1"], ["odd"])


def test_a_child_that_seems_dead_while_its_run_is_trained_on_has_not_failed(runs: Callable[..., list[Run]]) -> None:
    """Should the server die, all its children look dead."""
    (run,) = first = runs("epochs=1", rates=(0.1,))
    sweep = _Sweep(first, [{}], math.inf, Console(file=io.StringIO()))
    with run.folder.locked():
        sweep._take(run, Answer(error="The process was killed"))
    assert sweep._progress.elsewhere == [run]
    assert run.error is None


def test_a_disk_that_takes_no_more_ends_the_sweep(runs: Callable[..., list[Run]]) -> None:
    first = runs("epochs=1")
    printed = io.StringIO()
    sweep = _Sweep(first, [{}], math.inf, Console(file=printed))
    sweep._pool = Mock(free=[], wait=lambda timeout: [(0, Answer((UNWRITABLE, "No space left on device")))])
    sweep._pool.__enter__ = sweep._pool.__exit__ = Mock(return_value=None)
    sweep._progress.start(first[0], 0)
    sweep.train()
    assert "The sweep stops here" in printed.getvalue()
    assert statuses(first) == ["failed", "missing", "missing", "missing"]


def test_a_slot_for_each_core_and_each_gpu() -> None:
    assert cpu_cores() == len(os.sched_getaffinity(0))
    assert LocalLauncher()._environments([]) == [{}] * cpu_cores()
    assert LocalLauncher(slots=3)._environments([]) == [{}] * 3
    two = [slot["CUDA_VISIBLE_DEVICES"] for slot in LocalLauncher(per_gpu=2)._environments(["5", "7"])]
    assert two == ["5", "7", "5", "7"]
    assert len(LocalLauncher(slots=1)._environments(["5", "7"])) == 1


@pytest.mark.parametrize(
    ("first", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)], ids=str
)
def test_a_second_interrupt_does_not_cut_short_the_ending(first: signal.Signals, raised: type[BaseException]) -> None:
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        pytest.skip("the tests run where Ctrl-C is ignored, as in the background of a shell")
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    ended = False

    def interrupted_twice() -> None:
        nonlocal ended
        with _stoppable():
            try:
                signal.raise_signal(first)
            finally:
                signal.raise_signal(signal.SIGTERM)
                signal.raise_signal(signal.SIGINT)
                ended = True

    with pytest.raises(raised) as caught:
        interrupted_twice()
    assert ended
    assert caught.type is raised
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


# The program


LONG_SWEEP = ("lr=0.1,0.03,0.01,0.003", "epochs=15", "data.limit=256", "hydra.launcher.slots=2")


def command(*overrides: str) -> list[str]:
    return [sys.executable, "-m", "src.train", "-m", *overrides]


def program(*overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*overrides), cwd=REPOSITORY, capture_output=True, text=True, timeout=280)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["lr=0.1,-1"], "error: lr=-1 is not a learning rate"),
        (["lr=0.1,0.2", "output_dir=/proc/nowhere"], "error: /proc/nowhere/"),
        (["lr=0.1,0.2", "hydra.sweeper.max_batch_size=1"], "error: hydra.sweeper.max_batch_size=1 would end the sweep"),
        (["lr=0.1,0.2", "optimizer._target_=broken.SGD"], "error: Error loading 'broken.SGD': NameError"),
    ],
)
def test_what_cannot_work_is_one_sentence_before_anything_is_trained(
    overrides: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.py").write_text("SGD = undefined")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = program(*overrides, *[f"output_dir={tmp_path}"] * ("output_dir" not in str(overrides)))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("first_look"))


@pytest.fixture
def started(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[Path]]]:
    """A sweep of the program of which two runs have had an epoch: its process, and the folders of those two."""
    with subprocess.Popen(
        command(*LONG_SWEEP, f"output_dir={tmp_path}"),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        pattern = "first_look/*/checkpoints/last.ckpt"
        try:
            wait_until(lambda: len(list(tmp_path.glob(pattern))) >= 2 or process.poll() is not None)
            yield process, [file.parents[1] for file in tmp_path.glob(pattern)]
        finally:
            process.kill()


def descendants(pid: int) -> set[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, ValueError):
            continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


@pytest.mark.slow
def test_who_edits_the_code_meanwhile_changes_the_next_sweep_and_not_this_one(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for folder in ("src", "conf"):
        shutil.copytree(REPOSITORY / folder, copy / folder)
    overrides = ("lr=0.1,0.03", "epochs=3", "data.limit=256", "hydra.launcher.slots=1", f"output_dir={tmp_path}")
    with subprocess.Popen(
        command(*overrides),
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        wait_until(lambda: list(tmp_path.glob("first_look/*/history.csv")) or process.poll() is not None)
        for file in (copy / "src").rglob("*.py"):
            file.write_text("raise RuntimeError('in the middle of an edit')\n")
        printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0, printed
    assert printed.count("completed") >= 2


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_what_ends_the_sweep_ends_its_processes_and_loses_no_epoch(
    started: tuple[subprocess.Popen[str], list[Path]], number: signal.Signals, code: int, tmp_path: Path
) -> None:
    process, folders = started
    children = descendants(process.pid)
    assert len(children) >= 3  # the server and two runs
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    printed, _ = process.communicate(timeout=30)
    assert process.returncode == code
    assert "Traceback" not in printed
    if number != signal.SIGKILL:
        assert "Results:" in printed
    wait_until(lambda: not any(Path(f"/proc/{child}").exists() for child in children), seconds=20)

    written = "running" if number == signal.SIGKILL else "stopped"
    for folder in folders:
        assert f'"status": "{written}"' in (folder / "result.json").read_text()
        assert (RunFolder(folder).result() or {})["status"] == "stopped"
    kept = {folder: len(RunFolder(folder).history()) for folder in folders}
    assert min(kept.values()) >= 1
    again = program(*LONG_SWEEP, f"output_dir={tmp_path}")
    assert again.returncode == 0
    for folder, epochs in kept.items():
        # The history is written a moment before the checkpoint that it goes on from.
        (went_on_after,) = re.findall(r"going on after epoch (\d+)", (folder / "train.log").read_text())
        assert epochs - 1 <= int(went_on_after) <= epochs
        assert len(RunFolder(folder).history()) == 15
    config = RunFolder(folders[0]).config()
    assert history(RunFolder(folders[0])) == undisturbed(Run(config, {}), tmp_path / "elsewhere")


@pytest.mark.slow
def test_a_full_disk_is_one_sentence_and_spoils_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "small"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("mounting a small disk is not allowed here")
    overrides = ["lr=0.1,0.03,0.01,0.003", "epochs=2", "data.limit=128", f"output_dir={disk}"]
    try:
        done = program(*overrides)
        # 1 for failed runs; 2 if the disk does not even take their table, which one sentence says.
        assert done.returncode == (2 if "results.csv cannot be written" in done.stderr else 1)
        assert len(done.stderr.strip().splitlines()) == done.returncode - 1
        assert "Traceback" not in done.stdout + done.stderr
        assert "No space left on device" in done.stdout
        for file in disk.glob("first_look/*/result.json"):
            assert RunFolder(file.parent).result()
        subprocess.run(["mount", "-o", "remount,size=200m", disk], check=True)
        assert program(*overrides).returncode == 0
    finally:
        subprocess.run(["umount", disk], check=True)


# Hydra's own tests: any task function, any application

# They choose a launcher by the name of a configuration, which they look for in their own folders.
_OURS = "hydra.launcher._target_=hydra_plugins.lr_lab.local.LocalLauncher"


@pytest.fixture
def _hydra_1_1(hydra_restore_singletons: None) -> None:
    """They expect the defaults of Hydra 1.1; importing src.train has asked for those of 1.3."""
    version.setbase("1.1")


def test_hydra_discovers_it() -> None:
    found = [f"{plugin.__module__}.{plugin.__name__}" for plugin in Plugins.instance().discover(Launcher)]
    assert "hydra_plugins.lr_lab.local.LocalLauncher" in found


@pytest.mark.usefixtures("_hydra_1_1")
@pytest.mark.parametrize(("launcher_name", "overrides"), [("basic", [_OURS])])
class TestLauncher(LauncherTestSuite):
    pass


@pytest.mark.usefixtures("_hydra_1_1")
@pytest.mark.parametrize(("launcher_name", "overrides"), [("basic", [_OURS, "hydra.sweeper.max_batch_size=2"])])
class TestLauncherInBatches(BatchedSweeperTestSuite):
    pass


@pytest.mark.slow
@pytest.mark.parametrize(("task_launcher_cfg", "extra_flags"), [({}, ["-m", _OURS])])
class TestLauncherIntegration(IntegrationTestSuite):
    pass
