"""The promises of all probes: a fixed batch, columns of their own, and undisturbed training."""

import copy
import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lr_lab.errors import UserError
from lr_lab.probes.probe import probe_batch, undisturbed
from lr_lab.run import parts
from lr_lab.run.config import compose
from lr_lab.run.folder import HISTORY_COLUMNS, RunFolder, run_path
from lr_lab.run.training import train

Config = dict[str, Any]
Configure = Callable[..., Config]

BOTH = ("probes=[sharpness,gradient_norm]", "probes.sharpness.samples=16", "probes.gradient_norm.samples=64")
# Batch norm and dropout: what a careless probe would disturb.
DELICATE = ("model=fer_cnn", "model.size=28", "model.classes=10", "model.width=0.0625", "model.dropout=0.3")


def history(config: Config) -> list[dict[str, str]]:
    with RunFolder(run_path(config)).history_file.open(newline="") as file:
        return [{k: text for k, text in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def final_state(config: Config) -> dict[str, Any]:
    return torch.load(RunFolder(run_path(config)).checkpoint_file)


@pytest.mark.parametrize("overrides", [("optimizer=momentum", *DELICATE), ("optimizer=adam", "lr=0.001")])
def test_training_is_the_same_with_and_without(run_config: Configure, overrides: tuple[str, ...]) -> None:
    plain, probed = (run_config("epochs=2", *overrides, *probes) for probes in ((), BOTH))
    train(plain)
    train(probed)
    common = [column for column in HISTORY_COLUMNS if column != "seconds"]
    assert [{column: row[column] for column in common} for row in history(probed)] == history(plain)
    states = [final_state(config) for config in (plain, probed)]
    for part in ("state_dict", "optimizer_states"):
        assert str(states[0][part]) == str(states[1][part])


def test_columns_in_order_in_history_and_tensorboard(run_config: Configure) -> None:
    config = run_config(*BOTH)
    train(config)
    columns = list(RunFolder(run_path(config)).history()[0])
    assert tuple(columns[: len(HISTORY_COLUMNS)]) == HISTORY_COLUMNS
    extra = columns[len(HISTORY_COLUMNS) :]
    kinds = ("gradient_norm/", "update_ratio/", "dead_units/", "sharpness", "stability_limit")
    assert [next(i for i, kind in enumerate(kinds) if column.startswith(kind)) for column in extra] == sorted(
        next(i for i, kind in enumerate(kinds) if column.startswith(kind)) for column in extra
    )
    assert {kind for kind in kinds if any(column.startswith(kind) for column in extra)} == set(kinds)
    board = EventAccumulator(str(run_path(config) / "tensorboard"))
    board.Reload()
    assert {f"measured/{column}" for column in extra} <= set(board.Tags()["scalars"])
    written = [row["sharpness"] for row in RunFolder(run_path(config)).history()]
    assert [event.value for event in board.Scalars("measured/sharpness")] == pytest.approx(written)


def test_the_limit_is_that_of_the_rate_the_epoch_ran_at(run_config: Configure) -> None:
    config = run_config("probes=sharpness", "probes.sharpness.samples=32", "sequence=exponential", "model.width=0.25")
    train(config)
    for row in RunFolder(run_path(config)).history():
        assert row["stability_limit"] == pytest.approx(2 / row["lr"])


def test_epochs_left_out_are_empty(run_config: Configure) -> None:
    config = run_config("epochs=4", "probes=sharpness", "probes.sharpness.every=3", "model.width=0.25")
    train(config)
    measured = [row["sharpness"] is not None for row in RunFolder(run_path(config)).history()]
    assert measured == [True, False, False, True]


def test_a_resumed_run_measures_what_an_uninterrupted_one_does(run_config: Configure, tmp_path: Path) -> None:
    config = run_config("epochs=4", *BOTH, "probes.sharpness.every=2", "optimizer=adam", "lr=0.001")
    train(config)
    cut = config | {"output_dir": str(tmp_path / "cut")}
    whole = RunFolder(run_path(config))
    shorter = run_config("epochs=2", *BOTH, "probes.sharpness.every=2", "optimizer=adam", "lr=0.001")
    train(shorter)
    checkpoint = RunFolder(run_path(cut)).checkpoint_file
    checkpoint.parent.mkdir(parents=True)
    shutil.copy(RunFolder(run_path(shorter)).checkpoint_file, checkpoint)
    train(cut)
    assert history(cut) == history(config)
    assert len(whole.history()) == 4


def test_nothing_is_left_behind(run_config: Configure) -> None:
    config = run_config(*DELICATE)
    data = parts.build_data(config)
    data.setup()
    module = parts.build_module(config, parts.build_network(config, data), data, lr=0.1)
    optimizer = module.configure_optimizers()
    inputs, targets = probe_batch(data, 16)
    module.criterion(module.net(inputs), targets).backward()
    optimizer.step()
    module.train()
    module.net.get_submodule("features.1").eval()  # a part that the user had set otherwise
    before = copy.deepcopy((module.net.state_dict(), optimizer.state_dict(), [p.grad for p in module.parameters()]))
    chance, modes = torch.get_rng_state(), [part.training for part in module.modules()]
    for probe in parts.build_probes(run_config(*BOTH), module.net):
        with torch.inference_mode(), undisturbed(module):
            assert not any(part.training for part in module.modules())
            probe.measure(module, optimizer, inputs, targets)
    after = (module.net.state_dict(), optimizer.state_dict(), [p.grad for p in module.parameters()])
    assert str(before) == str(after)
    assert torch.equal(chance, torch.get_rng_state())
    assert modes == [part.training for part in module.modules()]


def test_the_batch_moves_with_the_split_seed_alone(run_config: Configure) -> None:
    def batch(*overrides: str, samples: int | None = 40) -> tuple[torch.Tensor, torch.Tensor]:
        data = parts.build_data(run_config(*overrides))
        data.setup()
        return probe_batch(data, samples)

    inputs, targets = batch()
    assert inputs.shape == (40, 1, 28, 28)
    assert targets.bincount().tolist() == [4] * 10
    assert torch.equal(inputs, batch("seed=7", "batch_size=3")[0])
    assert not torch.equal(targets, batch("data.split_seed=1")[1])
    assert len(batch(samples=None)[0]) == len(batch(samples=10**6)[0]) == 256


def test_either_way_of_naming_probes() -> None:
    assert list(compose("probes=sharpness")["probes"]) == ["sharpness"]
    assert sorted(compose("probes=[sharpness,gradient_norm]")["probes"]) == ["gradient_norm", "sharpness"]
    assert compose()["probes"] == {}


@pytest.mark.parametrize("override", ["probes.sharpness.every=0", "probes.sharpness.samples=none"])
def test_arguments_that_cannot_be(run_config: Configure, override: str) -> None:
    with pytest.raises(UserError, match="whole number of at least 1"):
        parts.build_probes(run_config("probes=sharpness", override), torch.nn.Linear(1, 1))
