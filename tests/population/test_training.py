"""Populations of runs with real folders and processes: what they leave, what interrupting them costs."""

import multiprocessing
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from processes import result_of
from scipy import stats

from lr_lab.population.network import Population
from lr_lab.population.training import Options, train_population
from lr_lab.run import parts
from lr_lab.run.folder import RunFolder, run_path
from lr_lab.run.summary import summarise
from lr_lab.run.training import train

Config = dict[str, Any]
Configure = Callable[..., Config]

_GRID = (
    ("lr=0.1", "seed=0"),
    ("lr=0.05", "strategy=every_step", "sequence=cosine", "seed=0"),
    (
        "lr=0.2",
        "strategy=cutoff",
        "strategy.baseline=untrained",
        "strategy.ratio=0.5",
        "optimizer.momentum=0.5",
        "seed=1",
    ),
    ("lr=1e6", "strategy=oscillate", "seed=1"),  # diverges
)


@pytest.fixture
def grid(run_config: Configure) -> Callable[..., list[Config]]:
    """A function of a folder and overrides: four runs that can be a population, of four epochs on 100 digits."""

    def configs(folder: str, *overrides: str, of: Sequence[Sequence[str]] = _GRID) -> list[Config]:
        short = ("epochs=4", "data.limit=100", "batch_size=32", "model.width=0.1", f"study={folder}")
        return [run_config(*short, *settings, *overrides) for settings in of]

    return configs


def folder(config: Config) -> RunFolder:
    return RunFolder(run_path(config))


def history(config: Config) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in folder(config).history()]


def files(config: Config) -> set[str]:
    path = folder(config).path
    return {str(file.relative_to(path)).split("tfevents")[0] for file in path.rglob("*") if file.is_file()}


def assert_alike(found: Any, expected: Any) -> None:
    assert found == [pytest.approx(row, rel=1e-4, nan_ok=True) for row in expected]


def test_a_member_leaves_what_a_single_run_leaves(grid: Callable[..., list[Config]]) -> None:
    together, singly = grid("together"), grid("singly")
    train_population(together, Options())
    for member, single in zip(together, singly, strict=True):
        train(single)
        assert files(member) == files(single)
        assert folder(member).config() == member
        assert [row["lr"] for row in history(member)] == [row["lr"] for row in history(single)]
        assert_alike(history(member), history(single))
        assert list(folder(member).history()[0]) == list(folder(single).history()[0])
        found, expected = result_of(folder(member)), result_of(folder(single))
        told = {"study", "trained_as", "wall_seconds", "samples_per_second"}
        assert list(found) == list(expected)
        assert (found["trained_as"], expected["trained_as"]) == ("population", "single")
        exact = {key for key, value in expected.items() if not isinstance(value, float)} - told
        assert {key: found[key] for key in exact} == {key: expected[key] for key in exact}
        logs = [folder(config).log_file.read_text().count("lr_lab.run.recorder: epoch") for config in (member, single)]
        assert logs[0] == logs[1] == found["epochs_run"]
    assert [result_of(folder(config))["status"] for config in together] == ["completed"] * 3 + ["diverged"]
    assert result_of(folder(together[3]))["epochs_run"] == 1
    assert not (folder(together[0]).path.parent / ".population").exists()


def test_the_checkpoint_of_a_member_is_that_of_a_single_run(grid: Callable[..., list[Config]]) -> None:
    together, singly = (grid(name, "optimizer=adam", "epochs=2", "lr=0.01", of=_GRID[:2]) for name in ("a", "b"))
    train_population(together, Options())
    for member, single in zip(together, singly, strict=True):
        train(single)
        found, expected = (torch.load(folder(config).checkpoint_file) for config in (member, single))
        assert expected.keys() - found.keys() == {"loops"}
        assert found.keys() < expected.keys()
        for key in ("epoch", "global_step", "pytorch-lightning_version", "lr_schedulers"):
            assert found[key] == expected[key]
        assert found["callbacks"]["Schedule"] == expected["callbacks"]["Schedule"]
        assert found["callbacks"]["Recorder"].keys() == expected["callbacks"]["Recorder"].keys()
        for name, weights in expected["state_dict"].items():
            torch.testing.assert_close(found["state_dict"][name], weights, rtol=1e-3, atol=1e-4)
        (mine,), (theirs,) = found["optimizer_states"], expected["optimizer_states"]
        assert mine["param_groups"] == theirs["param_groups"]
        assert mine["state"].keys() == theirs["state"].keys()
        assert mine["state"][0].keys() == theirs["state"][0].keys()
        assert mine["state"][0]["step"] == theirs["state"][0]["step"]


def train_population_slowly(configs: Sequence[Config], epochs: int) -> None:
    """As `train_population`, but after some epochs with time to be killed, however slow the machine is."""
    train_epoch = Population.train_epoch

    def train_epoch_slowly(self: Population, batches: Any, rates: Any) -> Any:
        if len(history(configs[0])) >= epochs:
            time.sleep(1)
        return train_epoch(self, batches, rates)

    Population.train_epoch = train_epoch_slowly  # type: ignore[method-assign]
    train_population(configs, Options())


@pytest.mark.parametrize("killed_after", [0, 2])
def test_a_killed_population_goes_on_as_if_nothing_had_happened(
    grid: Callable[..., list[Config]], killed_after: int
) -> None:
    overrides = ("epochs=8", "model.dropout=0.2", "data.limit=200", "batch_size=16")
    whole, broken = grid("whole", *overrides), grid("broken", *overrides)
    train_population(whole, Options())
    child = multiprocessing.get_context("fork").Process(target=train_population_slowly, args=(broken, killed_after))
    child.start()
    while len(folder(broken[0]).history()) < killed_after or folder(broken[0]).result() is None:
        assert child.is_alive()
        time.sleep(0.001)
    time.sleep(0.01)  # somewhere into what follows
    child.kill()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    train_population(broken, Options())
    for one, other in zip(broken, whole, strict=True):
        # Equal but for rounding: after a restart the diverged member is no longer in the population.
        assert_alike(history(one), history(other))
        assert [row["lr"] for row in history(one)] == [row["lr"] for row in history(other)]
        assert result_of(folder(one))["status"] == result_of(folder(other))["status"]
    assert not (folder(broken[0]).path.parent / ".population").exists()


def test_what_is_left_of_a_population_goes_on(
    grid: Callable[..., list[Config]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted after two epochs; then one member is trained singly, and the others go on without it."""
    configs, whole = grid("broken")[:3], grid("whole")[:3]
    interrupt(configs, 2, monkeypatch)
    assert [len(history(config)) for config in configs] == [2, 2, 2]
    train(configs[1])
    train_population(configs, Options())
    train_population(whole, Options())
    assert [result_of(folder(config))["trained_as"] for config in configs] == ["population", "single", "population"]
    for one, other in zip(configs, whole, strict=True):
        assert_alike(history(one), history(other))


def test_what_is_written_in_the_background_leaves_the_dropout_alone(
    grid: Callable[..., list[Config]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Building a network sets torch's generator, which all threads share; the last member ends after an epoch."""
    threads = set()

    def build_network(*arguments: Any) -> Any:
        threads.add(threading.current_thread())
        return built(*arguments)

    built = parts.build_network
    monkeypatch.setattr(parts, "build_network", build_network)
    train_population(grid("background", "epochs=2"), Options())
    assert threads == {threading.main_thread()}


def test_what_ends_a_population_leaves_the_members_that_had_ended(
    grid: Callable[..., list[Config]], monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = grid("broken")
    interrupt(configs, 2, monkeypatch)
    assert [result_of(folder(config))["status"] for config in configs] == ["failed"] * 3 + ["diverged"]


def test_a_member_that_was_trained_on_singly_is_left_alone(
    grid: Callable[..., list[Config]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A population that is interrupted after an epoch, then a single run of one member that is after three."""
    configs = grid("broken")[:3]
    interrupt(configs, 1, monkeypatch)
    with monkeypatch.context() as patched:
        write = RunFolder.write_history

        def stop(self: RunFolder, rows: Sequence[Any]) -> None:
            if len(rows) == 4:
                raise Interrupted
            write(self, rows)

        patched.setattr(RunFolder, "write_history", stop)
        with pytest.raises(Interrupted):
            train(configs[1])
    train_population(configs, Options())
    assert [result_of(folder(config))["epochs_run"] for config in configs] == [4, 3, 4]
    assert train(configs[1])["trained_as"] == "single"
    assert "going on after epoch 3" in folder(configs[1]).log_file.read_text()


class Interrupted(Exception):
    """Stands for whatever may end a population."""


def interrupt(configs: Sequence[Config], epochs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trains a population that ends with an error after some epochs."""
    train_epoch = Population.train_epoch
    done = 0

    def train_some(*arguments: Any) -> Any:
        nonlocal done
        if done == epochs:
            raise Interrupted
        done += 1
        return train_epoch(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Population, "train_epoch", train_some)
        with pytest.raises(Interrupted):
            train_population(configs, Options())


def test_an_error_is_every_members_error_and_told_once_in_each_log(
    grid: Callable[..., list[Config]], monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = grid("broken")[:3]
    interrupt(configs, 1, monkeypatch)
    for config in configs:
        assert result_of(folder(config))["status"] == "failed"
        assert "Interrupted" in result_of(folder(config))["error"]
        assert folder(config).log_file.read_text().count("failed: ") == 1


@pytest.mark.parametrize("share", [0, 0.5])
@pytest.mark.parametrize("ending", ["ckpt", "json"])
def test_a_spoiled_checkpoint_starts_the_population_anew(
    grid: Callable[..., list[Config]], monkeypatch: pytest.MonkeyPatch, ending: str, share: float
) -> None:
    configs = grid("broken")[:2]
    interrupt(configs, 2, monkeypatch)
    (file,) = (folder(configs[0]).path.parent / ".population").glob(f"*.{ending}")
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    train_population(configs, Options())
    assert [result_of(folder(config))["status"] for config in configs] == ["completed"] * 2
    assert [row["epoch"] for row in history(configs[0])] == [0, 1, 2, 3]


def test_changed_data_are_noticed(grid: Callable[..., list[Config]], monkeypatch: pytest.MonkeyPatch) -> None:
    configs = grid("broken")[:2]
    interrupt(configs, 1, monkeypatch)
    monkeypatch.setattr("lr_lab.data.in_memory.InMemoryDataModule.fingerprint", "of other data")
    (beside,) = grid("broken")[2:3]
    refused = train_population([*configs, beside], Options())
    assert {*refused} == {folder(config).path.name for config in configs}
    (sentence,) = {*refused.values()}
    assert re.search(r"data have changed since 2 runs were trained as one up to epoch 1;", sentence)
    assert result_of(folder(beside))["status"] == "completed"
    advice = re.search(r"delete (\S+) to start them anew", sentence)
    assert advice
    Path(advice[1]).unlink()
    assert train_population(configs, Options()) == {}
    assert [result_of(folder(config))["status"] for config in configs] == ["completed"] * 2
    assert [row["epoch"] for row in history(configs[0])] == [0, 1, 2, 3]


def test_a_run_whose_folder_was_deleted_is_trained_anew(
    grid: Callable[..., list[Config]], monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = grid("broken")[:3]
    interrupt(configs, 2, monkeypatch)
    shutil.rmtree(folder(configs[0]).path)
    train_population(configs, Options())
    logs = [folder(config).log_file.read_text() for config in configs]
    assert ["lr_lab.run.recorder: epoch 0," in log for log in logs] == [True] * 3
    assert [result_of(folder(config))["status"] for config in configs] == ["completed"] * 3
    # The other two go on from their second epoch: each epoch is in their logs once.
    assert [logs[0].count("epoch 0,"), logs[1].count("epoch 0,")] == [1, 1]
    assert not (folder(configs[0]).path.parent / ".population").exists()


@pytest.mark.parametrize("deleted", [1, 3])
def test_a_deleted_run_is_trained_anew_also_if_that_is_interrupted(
    grid: Callable[..., list[Config]], monkeypatch: pytest.MonkeyPatch, deleted: int
) -> None:
    configs = grid("broken")[:3]
    interrupt(configs, 2, monkeypatch)
    for config in configs[:deleted]:
        shutil.rmtree(folder(config).path)
    interrupt(configs, 0, monkeypatch)
    train_population(configs, Options())
    for config in configs[:deleted]:
        assert "lr_lab.run.recorder: epoch 0," in folder(config).log_file.read_text()
    assert [result_of(folder(config))["status"] for config in configs] == ["completed"] * 3


def test_a_population_killed_as_it_wrote_its_first_epoch_stays_together(
    grid: Callable[..., list[Config]], monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = grid("broken")[:3]
    interrupt(configs, 1, monkeypatch)
    folder(configs[2]).write_result(result_of(folder(configs[2])) | {"epochs_run": 0})  # what had not been written yet
    train_population(configs, Options())
    logs = [folder(config).log_file.read_text() for config in configs]
    assert ["going on after" in log for log in logs] == [False] * 3
    assert [[row["epoch"] for row in history(config)] for config in configs] == [[0, 1, 2, 3]] * 3


def test_a_member_that_cannot_be_trained_leaves_the_others_alone(grid: Callable[..., list[Config]]) -> None:
    """Only the data tell that a warmup is longer than its run of 16 steps."""
    warm = ("strategy=every_step", "warmup=linear")
    configs = grid("one", *warm, of=[[f"warmup.length={length}"] for length in (2, 40)])
    refused = train_population(configs, Options())
    assert {*refused} == {folder(configs[1]).path.name}
    assert "warmup.length=40 is too long" in refused[folder(configs[1]).path.name]
    assert result_of(folder(configs[0]))["status"] == "completed"


def test_of_two_checkpoints_the_newest_counts(
    grid: Callable[..., list[Config]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted after an epoch, then without one of its members after two more."""
    configs = grid("broken")[:3]
    interrupt(configs, 1, monkeypatch)
    interrupt(configs[:2], 2, monkeypatch)
    train_population(configs, Options())
    log = folder(configs[0]).log_file.read_text()
    assert [f"lr_lab.population.training: going on after epoch {epoch}\n" in log for epoch in (1, 3)] == [True] * 2
    assert log.index("after epoch 3") < log.rindex("after epoch 1")  # the third goes on from where it was
    assert [result_of(folder(config))["status"] for config in configs] == ["completed"] * 3


def test_what_a_killed_population_was_writing_goes_with_its_checkpoint(
    grid: Callable[..., list[Config]], monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = grid("broken")[:2]
    interrupt(configs, 1, monkeypatch)
    place = folder(configs[0]).path.parent / ".population"
    (checkpoint,) = place.glob("*.ckpt")
    (place / f".{checkpoint.name}.123").write_bytes(b"half a state")
    train_population(configs, Options())
    assert not place.exists()


def test_every_epoch_and_seed_has_masks_of_its_own(
    grid: Callable[..., list[Config]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = []
    train_epoch = Population.train_epoch

    def noted(*arguments: Any) -> Any:
        seeds.append(torch.initial_seed())
        return train_epoch(*arguments)

    monkeypatch.setattr(Population, "train_epoch", noted)
    for number, run in enumerate(_GRID[1:3]):  # of seed 0 and 1
        train_population(grid(f"seed{number}", of=[run]), Options())
    assert len(set(seeds)) == len(seeds) == 8


def test_the_time_of_a_population_is_shared_out(grid: Callable[..., list[Config]]) -> None:
    configs = grid("together")[:3]
    started = time.perf_counter()
    train_population(configs, Options())
    elapsed = time.perf_counter() - started
    results = [result_of(folder(config)) for config in configs]
    spent = [sum(row["seconds"] for row in folder(config).history()) for config in configs]
    assert sum(spent) <= sum(result["wall_seconds"] for result in results) <= elapsed
    for result, seconds in zip(results, spent, strict=True):
        assert result["samples_per_second"] == pytest.approx(4 * 100 / seconds)


@pytest.mark.parametrize("kept", ["checkpoint_file", "previous_checkpoint_file"])
def test_finished_busy_and_begun_runs_are_left_alone(grid: Callable[..., list[Config]], kept: str) -> None:
    configs = grid("some")
    finished, busy, begun, left = configs[3], configs[0], configs[1], configs[2]
    train(finished)
    begun_file = getattr(folder(begun), kept)
    begun_file.parent.mkdir(parents=True)
    begun_file.write_bytes(b"of a run that was interrupted")
    before = folder(finished).result()
    with folder(busy).training(busy, blank=summarise(busy, [])):
        train_population(configs, Options())
    assert folder(finished).result() == before
    assert result_of(folder(busy))["epochs_run"] == 0
    assert folder(begun).result() is None
    assert result_of(folder(left))["status"] == "completed"


def test_a_population_may_have_a_largest_size(
    grid: Callable[..., list[Config]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    train_epoch = Population.train_epoch

    def noted(self: Population, *arguments: Any) -> Any:
        sizes.append(len(self))
        return train_epoch(self, *arguments)

    monkeypatch.setattr(Population, "train_epoch", noted)
    configs = grid("sizes", "lr=0.05", "epochs=1")[:3]
    train_population(configs, Options(max_members=2))
    assert sizes == [1, 2]
    assert [result_of(folder(config))["status"] for config in configs] == ["completed"] * 3


def test_what_does_not_fit_into_memory_is_halved(
    grid: Callable[..., list[Config]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second epoch of more than two members runs out of memory, as a GPU would."""
    train_epoch = Population.train_epoch
    sizes: list[int] = []

    def train_some(self: Population, *arguments: Any) -> Any:
        if len(self) > 2 and sizes:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        sizes.append(len(self))
        return train_epoch(self, *arguments)

    configs, whole = grid("halved")[:3], grid("whole")[:3]
    train_population(whole, Options())
    monkeypatch.setattr(Population, "train_epoch", train_some)
    train_population(configs, Options())
    assert sizes == [3, 1, 1, 1, 2, 2, 2]
    for one, other in zip(configs, whole, strict=True):
        assert_alike(history(one), history(other))


def test_memory_that_one_member_exceeds_is_an_error(
    grid: Callable[..., list[Config]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(Population, "train_epoch", fail)
    with pytest.raises(torch.OutOfMemoryError):
        train_population(grid("large")[:2], Options())


@pytest.mark.slow
def test_with_dropout_members_are_single_runs_in_distribution(run_config: Configure) -> None:
    """Ten seeds: the same initial weights and batches, other masks; compared in pairs."""

    def configs(study: str, *overrides: str) -> list[Config]:
        short = (f"study={study}", "epochs=5", "batch_size=16", "lr=0.1", "model.width=0.2", "sequence=constant")
        return [run_config(*short, *overrides, f"seed={seed}") for seed in range(10)]

    def outcome(runs: Sequence[Config]) -> dict[str, np.ndarray]:
        results = [result_of(folder(run)) for run in runs]
        return {key: np.array([result[key] for result in results]) for key in ("train_loss", "val_accuracy")}

    together, singly, without = configs("a", "model.dropout=0.5"), configs("b", "model.dropout=0.5"), configs("c")
    train_population(together, Options())
    train_population(without, Options())
    for config in singly:
        train(config)
    found, expected, other = outcome(together), outcome(singly), outcome(without)
    assert not np.array_equal(found["train_loss"], expected["train_loss"])
    for key in found:
        assert stats.ttest_rel(found[key], expected[key]).pvalue > 0.001, key
        assert found[key].std() < 3 * expected[key].std() < 9 * found[key].std(), key
    # The test could fail: it tells a population without dropout from single runs with it.
    assert stats.ttest_rel(other["train_loss"], expected["train_loss"]).pvalue < 1e-4
