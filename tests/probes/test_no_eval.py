"""src/lr_lab/probes/no_eval.py, held to the loop that forgets `eval()`."""

from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lr_lab.run import parts
from lr_lab.run.config import compose
from lr_lab.run.folder import HISTORY_COLUMNS, RunFolder, run_path
from lr_lab.run.training import train

Config = dict[str, Any]
Configure = Callable[..., Config]

BATCH_NORM = ("model=fer_cnn", "model.size=28", "model.classes=10", "model.width=0.0625", "batch_size=15", "lr=0.03")
ROUNDING = 1e-6


def careless_validation(config: Config) -> tuple[float, float]:
    """As in the code of the FER2013 question: batches of the training's size through a network in training mode."""
    data = parts.build_data(config)
    data.setup()
    net = parts.build_network(config, data)
    state = torch.load(RunFolder(run_path(config)).checkpoint_file)["state_dict"]
    net.load_state_dict({k.removeprefix("net."): v for k, v in state.items() if k.startswith("net.")})
    loss = hits = count = 0.0
    with torch.no_grad():
        for first in range(0, len(data.val), config["batch_size"]):
            index = torch.arange(first, min(first + config["batch_size"], len(data.val)))
            images, labels = data.gather(data.val, index)
            outputs = net(images)
            loss += nn.CrossEntropyLoss()(outputs, labels).item() * len(index)
            hits += (outputs.argmax(1) == labels).sum().item()
            count += len(index)
    return loss / count, hits / count


@pytest.mark.parametrize("limit", [60, 61])  # 61 leaves a batch of one
def test_it_is_what_the_careless_loop_finds(run_config: Configure, limit: int) -> None:
    config = run_config(*BATCH_NORM, f"data.limit={limit}", "probes=no_eval", "epochs=2")
    train(config)
    last = RunFolder(run_path(config)).history()[-1]
    loss, accuracy = careless_validation(config)
    assert last["no_eval/val_loss"] == pytest.approx(loss, rel=1e-5)
    assert last["no_eval/val_accuracy"] == pytest.approx(accuracy, abs=ROUNDING)
    assert abs(last["no_eval/val_loss"] - last["val_loss"]) > 0.01


def test_the_run_is_the_same_with_and_without(run_config: Configure) -> None:
    plain, probed = (run_config(*BATCH_NORM, "model.dropout=0.3", *probes) for probes in ((), ("probes=no_eval",)))
    train(plain)
    train(probed)
    common = [column for column in HISTORY_COLUMNS if column != "seconds"]
    rows = [[{c: r[c] for c in common} for r in RunFolder(run_path(x)).history()] for x in (plain, probed)]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_network_of_one_mode_is_measured_alike(run_config: Configure, precision: str) -> None:
    config = run_config("probes=no_eval", f"trainer.precision={precision}")  # mnist_cnn: no batch norm, no dropout
    train(config)
    for row in RunFolder(run_path(config)).history():
        assert row["no_eval/val_loss"] == pytest.approx(row["val_loss"], rel=1e-5)
        assert row["no_eval/val_accuracy"] == pytest.approx(row["val_accuracy"], abs=ROUNDING)


def test_a_last_batch_that_batch_norm_refuses_is_left_out(tmp_path: Path) -> None:
    """After three poolings 8x8 pixels are one, of which a single picture has one value per channel."""
    pictures = ("data=random_images", "data.size=8", "data.samples=96", "batch_size=3")  # 16 of them to validate on
    network = ("model=plain_cnn", "model.depth=4", "model.batch_norm=true", "model.in_channels=1", "model.size=8")
    config = compose(*pictures, *network, "epochs=1", "probes=no_eval", f"output_dir={tmp_path}")
    train(config)
    (row,) = RunFolder(run_path(config)).history()
    hits = 15 * row["no_eval/val_accuracy"]
    assert hits == pytest.approx(round(hits), abs=15 * ROUNDING)
    assert isfinite(row["no_eval/val_loss"])


def test_regression_has_no_accuracy_here_either(tmp_path: Path) -> None:
    config = compose("data=line", "model=linear", "epochs=3", "probes=no_eval", f"output_dir={tmp_path}")
    train(config)
    row = RunFolder(run_path(config)).history()[-1]
    assert row["no_eval/val_loss"] == pytest.approx(row["val_loss"], rel=1e-5)
    assert "no_eval/val_accuracy" not in row
