"""One run, end to end, with a real Trainer, real files and real processes killed."""

import csv
import json
import math
import multiprocessing
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import REPOSITORY
from processes import result_of
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch.utils.tensorboard import SummaryWriter

from lr_lab.errors import RunBusy, UserError
from lr_lab.modules.block import BlockModule
from lr_lab.run import parts
from lr_lab.run.folder import RunFolder, run_path
from lr_lab.run.training import objective, train

Config = dict[str, Any]
Configure = Callable[..., Config]


def history_without_seconds(config: Config) -> list[dict[str, str]]:
    with RunFolder(run_path(config)).history_file.open(newline="") as file:
        return [{column: text for column, text in row.items() if column != "seconds"} for row in csv.DictReader(file)]


def elsewhere(config: Config, tmp_path: Path) -> Config:
    return config | {"output_dir": str(tmp_path / "elsewhere")}


def test_a_run_leaves_what_the_design_says(run_config: Configure) -> None:
    config = run_config("study=first", "sequence=exponential")
    result = train(config)
    folder = RunFolder(run_path(config))
    assert folder.path.parent.name == "first"
    assert result == folder.result()
    assert result["status"] == "completed"
    assert result["epochs_run"] == 3
    assert result["lr_updates"] == 2
    assert folder.config() == config
    assert [row["lr"] for row in folder.history()] == [0.01, 0.01 * 0.9, 0.01 * 0.9**2]
    assert result["val_loss"] == folder.history()[-1]["val_loss"]
    seconds = sum(row["seconds"] for row in folder.history())
    assert result["samples_per_second"] == pytest.approx(3 * result["train_samples"] / seconds)
    assert result["best_val_accuracy"] == max(row["val_accuracy"] for row in folder.history())
    assert (folder.path / "train.log").read_text().count("lr_lab.run.recorder: epoch") == 3
    assert not list(folder.path.glob("**/.*.[0-9]*"))


def test_same_configuration_same_history(run_config: Configure, tmp_path: Path) -> None:
    config = run_config("data=digits", "model.dropout=0.3")
    train(config)
    again = elsewhere(config, tmp_path)
    train(again)
    assert history_without_seconds(config) == history_without_seconds(again)


def test_the_seed_changes_the_history(run_config: Configure) -> None:
    configs = [run_config(f"seed={seed}") for seed in (0, 1)]
    for config in configs:
        train(config)
    first, second = map(history_without_seconds, configs)
    assert all(a["train_loss"] != b["train_loss"] for a, b in zip(first, second, strict=True))


def train_slowly(config: Config, epochs: int) -> None:
    """As `train`, but after some epochs with time to be killed, however slow the machine is."""
    folder, begin = RunFolder(run_path(config)), BlockModule.on_train_epoch_start

    def begin_slowly(self: BlockModule) -> None:
        if len(folder.history()) >= epochs:
            time.sleep(1)
        begin(self)

    BlockModule.on_train_epoch_start = begin_slowly  # type: ignore[method-assign]
    train(config)


@pytest.mark.parametrize("killed_after", [0, 1, 3, 5])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    run_config: Configure, tmp_path: Path, killed_after: int
) -> None:
    config = run_config(
        "epochs=10",
        "batch_size=16",
        "model.dropout=0.2",
        "optimizer=momentum",
        "strategy=cutoff",
        "strategy.baseline=untrained",
        "strategy.ratio=0.5",
    )
    whole = elsewhere(config, tmp_path)
    train(whole)
    child = multiprocessing.get_context("fork").Process(target=train_slowly, args=(config, killed_after))
    child.start()
    folder = RunFolder(run_path(config))
    while len(folder.history()) < killed_after or folder.result() is None:
        assert child.is_alive()
        time.sleep(0.001)
    time.sleep(0.01)  # somewhere into the next epoch
    child.kill()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert '"status": "running"' in folder.result_file.read_text()
    assert result_of(folder)["status"] == "stopped"
    result = train(config)
    assert history_without_seconds(config) == history_without_seconds(whole)
    assert {**result, "wall_seconds": 0, "samples_per_second": 0} == {
        **result_of(RunFolder(run_path(whole))),
        "wall_seconds": 0,
        "samples_per_second": 0,
    }


def test_settings_of_equal_seed_are_pairs(run_config: Configure) -> None:
    runs = []
    for overrides in (("lr=0.1", "strategy=cutoff"), ("optimizer=adam", "sequence=cyclic", "lr=0.001")):
        config = run_config(*overrides, "seed=3")
        data = parts.build_data(config)
        data.setup()
        runs.append((parts.build_network(config, data).state_dict(), data.train_batches(epoch=2)))
    (first_weights, first_batches), (second_weights, second_batches) = runs
    assert all(torch.equal(first_weights[name], second_weights[name]) for name in first_weights)
    assert all(torch.equal(a, b) for a, b in zip(first_batches, second_batches, strict=True))


def test_a_diverged_run_is_a_result(run_config: Configure) -> None:
    config = run_config("lr=1e6")
    result = train(config)
    assert result["status"] == "diverged"
    assert result["epochs_run"] == 1
    assert result["convergence_epoch"] is None
    json.loads(RunFolder(run_path(config)).result_file.read_text(), parse_constant=pytest.fail)
    assert train(config) == result


def test_a_finished_run_is_only_read(run_config: Configure) -> None:
    config = run_config()
    result = train(config)
    folder = RunFolder(run_path(config))
    before = {file: file.stat().st_mtime_ns for file in folder.path.rglob("*") if file.is_file()}
    assert train(config) == result
    after = {file: file.stat().st_mtime_ns for file in folder.path.rglob("*") if file.is_file()}
    log = folder.log_file
    assert {k: v for k, v in after.items() if k != log} == {k: v for k, v in before.items() if k != log}


def test_a_run_is_trained_by_one_process_at_a_time(run_config: Configure) -> None:
    config = run_config()
    with RunFolder(run_path(config)).training(config, blank={"status": "running"}), pytest.raises(RunBusy):
        train(config)


def test_a_spoiled_checkpoint_costs_one_epoch(run_config: Configure, tmp_path: Path) -> None:
    config = run_config("epochs=9")
    whole = elsewhere(config, tmp_path)
    train(whole)
    interrupt_after(config, epochs=3)
    folder = RunFolder(run_path(config))
    done = len(torch.load(folder.checkpoint_file)["callbacks"]["Recorder"]["rows"])
    folder.checkpoint_file.write_bytes(folder.checkpoint_file.read_bytes()[:5000])
    train(config)
    assert "cannot be read and is passed over" in folder.log_file.read_text()
    assert f"going on after epoch {done - 1}\n" in folder.log_file.read_text()
    assert history_without_seconds(config) == history_without_seconds(whole)


@pytest.mark.parametrize("share", [0, 0.5])
def test_a_run_whose_checkpoints_are_all_spoiled_starts_anew(
    run_config: Configure, tmp_path: Path, share: float
) -> None:
    config = run_config()
    whole = elsewhere(config, tmp_path)
    train(whole)
    interrupt_after(config, epochs=2)
    folder = RunFolder(run_path(config))
    for file in (folder.checkpoint_file, folder.previous_checkpoint_file):
        file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    train(config)
    assert folder.log_file.read_text().count("cannot be read and is passed over") == 2
    assert history_without_seconds(config) == history_without_seconds(whole)


def test_time_and_curves_of_a_run_go_on(run_config: Configure) -> None:
    """Seconds of earlier sittings count; points that a killed epoch left behind its checkpoint do not."""
    config = run_config("epochs=9")
    interrupt_after(config, epochs=2)
    folder = RunFolder(run_path(config))
    kept = torch.load(folder.checkpoint_file)
    done = len(kept["callbacks"]["Recorder"]["rows"])
    kept["callbacks"]["Recorder"]["wall_seconds"] = 1000.0
    torch.save(kept, folder.checkpoint_file)
    with SummaryWriter(str(folder.path / "tensorboard")) as board:
        board.add_scalar("loss/train", -1.0, done + 1)
    time.sleep(1.1)  # TensorBoard reads its files in the order of their names, which begin with the second
    assert train(config)["wall_seconds"] > 1000
    curves = EventAccumulator(str(folder.path / "tensorboard")).Reload()
    losses = [(event.step, event.value) for event in curves.Scalars("loss/train")]
    assert losses == [(row["epoch"] + 1, pytest.approx(row["train_loss"])) for row in folder.history()]


def test_a_run_is_for_its_accuracy_or_else_its_loss() -> None:
    assert objective({"val_accuracy": 0.9, "val_loss": 0.3, "status": "completed"}) == 0.9
    assert objective({"val_accuracy": None, "val_loss": 0.3, "status": "completed"}) == 0.3
    assert objective({"val_accuracy": None, "val_loss": None, "status": "diverged"}) == math.inf
    assert objective({"val_accuracy": None, "val_loss": 1e30, "status": "diverged"}) == math.inf
    assert objective({"val_accuracy": 0.1, "val_loss": None, "status": "diverged"}) == 0.0


def test_a_spoiled_result_is_not_a_finished_run(run_config: Configure) -> None:
    config = run_config()
    result = train(config)
    folder = RunFolder(run_path(config))
    folder.result_file.write_text(folder.result_file.read_text()[:100])
    again = train(config)
    assert {**again, "wall_seconds": 0} == {**result, "wall_seconds": 0}


def test_changed_data_are_noticed(run_config: Configure) -> None:
    config = run_config("epochs=9")
    interrupt_after(config, epochs=2)
    folder = RunFolder(run_path(config))
    kept = torch.load(folder.checkpoint_file)
    kept["callbacks"]["Recorder"]["data_fingerprint"] = "of other data"
    torch.save(kept, folder.checkpoint_file)
    with pytest.raises(UserError, match=r"data have changed since .* up to epoch \d+;"):
        train(config)
    assert result_of(folder)["status"] == "failed"
    assert "data have changed" in result_of(folder)["error"]


def interrupt_after(config: Config, epochs: int) -> None:
    """Trains the run in a process of its own and kills it there."""
    child = multiprocessing.get_context("fork").Process(target=train_slowly, args=(config, epochs))
    child.start()
    folder = RunFolder(run_path(config))
    # The result is written last: with it, history and checkpoint of that epoch are there.
    while (folder.result() or {"epochs_run": 0})["epochs_run"] < epochs:
        assert child.is_alive()
        time.sleep(0.001)
    child.kill()
    child.join()


def test_the_checkpoint_loads_with_torch_load_as_it_is(run_config: Configure) -> None:
    config = run_config()
    train(config)
    checkpoint = torch.load(RunFolder(run_path(config)).checkpoint_file)
    assert checkpoint["callbacks"]["Schedule"]["index"] == 3
    assert checkpoint["epoch"] == 2 or checkpoint["epoch"] == 3


def test_init_from_starts_from_saved_weights_and_counts_by_content(run_config: Configure, tmp_path: Path) -> None:
    other = run_config("seed=7")
    weights = parts.build_network(other, parts.build_data(other)).state_dict()
    torch.save(weights, tmp_path / "a.pt")
    shutil.copy(tmp_path / "a.pt", tmp_path / "b.pt")
    first, second = (run_config(f"init_from={tmp_path / name}") for name in ("a.pt", "b.pt"))
    assert run_path(first) == run_path(second) != run_path(run_config())
    net = parts.build_network(first, parts.build_data(first))
    assert all(torch.equal(net.state_dict()[name], weights[name]) for name in weights)
    for content in (b"no weights", b"a,b\n1,2\n"):
        (tmp_path / "a.pt").write_bytes(content)
        with pytest.raises(UserError, match=r"init_from=.*a\.pt holds no weights for model=mnist_cnn \(not a file of"):
            parts.build_network(first, parts.build_data(first))
    torch.save({"other": torch.zeros(1)}, tmp_path / "a.pt")
    with pytest.raises(UserError, match=r"MnistCNN: Missing key\(s\) in state_dict"):
        parts.build_network(first, parts.build_data(first))


def test_init_from_may_be_the_checkpoint_of_a_run(run_config: Configure) -> None:
    earlier = run_config("epochs=1", "data.limit=64")
    train(earlier)
    checkpoint = RunFolder(run_path(earlier)).checkpoint_file
    trained = torch.load(checkpoint, weights_only=True)["state_dict"]
    config = run_config(f"init_from={checkpoint}")
    net = parts.build_network(config, parts.build_data(config))
    assert all(torch.equal(weight, trained[f"net.{name}"]) for name, weight in net.state_dict().items())


def test_tensorboard_has_curves_first_and_settings_with_results_on_its_hparams_page(run_config: Configure) -> None:
    config = run_config("model.dropout=0.25", "data.val_fraction=0.3")
    result = train(config)
    board = EventAccumulator(str(run_path(config) / "tensorboard")).Reload()
    history = RunFolder(run_path(config)).history()
    points = {tag: [(event.step, event.value) for event in board.Scalars(tag)] for tag in board.Tags()["scalars"]}
    # TensorBoard shows them in this order; on its axis the first epoch is 1.
    shown = ["accuracy/train", "accuracy/val", "loss/train", "loss/val", "lr"]
    columns = ["train_accuracy", "val_accuracy", "train_loss", "val_loss", "lr"]
    assert sorted(points) == [*shown, "measured/gradient_norm", "measured/seconds"]
    for tag, column in zip(shown, columns, strict=True):
        assert points[tag] == [(row["epoch"] + 1, pytest.approx(row[column])) for row in history]
    experiment, start = (
        HParamsPluginData.FromString(board.summary_metadata[f"_hparams_/{name}"].plugin_data.content)
        for name in ("experiment", "session_start_info")
    )
    metrics = [info.name.tag for info in experiment.experiment.metric_infos]
    assert metrics == ["accuracy/val", "loss/val", "loss/train"]
    columns = start.session_start_info.hparams
    assert columns["lr"].number_value == config["lr"]
    assert columns["result best_val_accuracy"].number_value == result["best_val_accuracy"]
    assert columns["result diagnosis"].string_value == result["diagnosis"]
    assert columns["model.dropout"].number_value == 0.25
    assert columns["data.val_fraction"].number_value == 0.3
    assert {key: columns[key].string_value for key in ("optimizer", "sequence", "strategy")} == {
        key: config["names"][key] for key in ("optimizer", "sequence", "strategy")
    }


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("optimizer.momentum=-1", "sgd cannot be used here with momentum=-1, weight_decay=0.0: Invalid momentum value"),
        ("sequence.factor=1.5", "sequence.factor"),
        ("data.limit=3", "data.limit=3"),
        ("model.dropout=1.5", "dropout"),
        ("+model.depth=3", "depth"),
    ],
)
def test_a_refused_argument_is_one_sentence(run_config: Configure, override: str, sentence: str) -> None:
    _refused(run_config("sequence=exponential", override), sentence)


def test_too_few_numbers_are_one_sentence(run_config: Configure) -> None:
    _refused(run_config("optimizer=adam", "optimizer.betas=[0.9]"), "optimizer=adam cannot be used here")


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("warmup.length=0", "warmup.length .* must be a whole number of at least 1"),
        ("warmup.length=abc", "warmup.length"),
        ("warmup.length=2", "warmup.length=2 is too long: the rate of this run has 2 positions"),
        ("+warmup.foo=2", "foo"),
    ],
)
def test_a_refused_warmup_is_one_sentence(run_config: Configure, override: str, sentence: str) -> None:
    _refused(run_config("warmup=linear", override, "epochs=2"), sentence)


def test_a_scheduler_that_fails_later_is_refused_at_once(run_config: Configure) -> None:
    options = ("sequence=torch", "sequence.step_size=10")
    _refused(run_config(*options, "sequence.gamma=-1"), "StepLR does not work with")


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            ["model=fer_cnn", "data=mnist", "model.size=48"],
            "does not take two samples of data=mnist, 2x1x28x28 ",
        ),
        (["sequence=torch", "sequence.scheduler=foo"], "sequence.scheduler must be the dotted path .* not .foo."),
    ],
)
def test_parts_that_do_not_fit_are_refused(run_config: Configure, overrides: list[str], sentence: str) -> None:
    _refused(run_config(*overrides), sentence)


def _refused(config: Config, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as refusal:
        train(config)
    assert "\n" not in str(refusal.value)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "src.train", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["lr=-1"], "lr=-1 is not a learning rate; give a finite number above 0"),
        (["strategy=cutof"], "strategy=cutof is not a choice; allowed are cutoff, .*; did you mean cutoff?"),
        (
            ["optimizer.momentum=-1"],
            "optimizer=sgd cannot be used here with momentum=-1, .*: Invalid momentum value: -1",
        ),
        (["output_dir=/proc/nowhere"], "/proc/nowhere/.* cannot be "),
    ],
)
def test_a_mistake_on_the_command_line_is_one_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    done = command(f"output_dir={tmp_path / 'outputs'}", *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr + done.stdout
    assert len(done.stderr.strip().splitlines()) == 1
    assert re.search(sentence, done.stderr)
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_who_stops_a_run_is_told_how_to_go_on(tmp_path: Path, number: signal.Signals, code: int) -> None:
    arguments = ["epochs=5000", "data.limit=100", f"output_dir={tmp_path}"]
    started = subprocess.Popen(
        [sys.executable, "-m", "src.train", *arguments],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background has SIGINT ignored, and children inherit that.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    assert started.stdout is not None
    started.stdout.readline()  # the line of the first epoch
    started.send_signal(number)
    said, _ = started.communicate(timeout=60)
    assert started.returncode == code
    assert re.search(r"Stopped after \d+ of 5000 epochs; the same command goes on from there\.", said)
    (folder,) = (tmp_path / "first_look").iterdir()
    assert '"status": "stopped"' in RunFolder(folder).result_file.read_text()


def test_who_stops_it_before_it_trains_is_told_so_in_a_sentence(tmp_path: Path) -> None:
    script = (
        "import os, runpy, signal, sys; sys.argv = ['src.train', sys.argv[1]]\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Stop:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'torch': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Stop())\n"
        "runpy.run_module('src.train', run_name='__main__')"
    )
    command = [sys.executable, "-c", script, f"output_dir={tmp_path}"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr.endswith("Interrupted; the same command goes on from here.\n")
    assert "Traceback" not in done.stderr


def test_help_needs_no_torch() -> None:
    script = (
        "import sys, runpy; sys.argv = ['src.train', '--help']\n"
        "try: runpy.run_module('src.train', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for word in ("lr", "epochs", "batch_size", "seed", "study", "output_dir", "cutoff", "inverse_sqrt", "mnist_cnn"):
        assert word in done.stdout
