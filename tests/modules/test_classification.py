"""Label smoothing, held to its closed form."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lr_lab.errors import UserError
from lr_lab.modules.classification import Classification
from lr_lab.run import parts
from lr_lab.run.config import compose
from lr_lab.run.folder import RunFolder, run_path
from lr_lab.run.training import train


def smoothed_by_hand(outputs: torch.Tensor, targets: torch.Tensor, smoothing: float) -> float:
    """Over samples, the mean of - sum_k q_k log p_k; q is (1 - s) at the target, and s over K more at every class."""
    classes = outputs.shape[1]
    total = 0.0
    for row, target in zip(outputs.double(), targets.tolist(), strict=True):
        logs = row - row.exp().sum().log()
        shares = [smoothing / classes + (1 - smoothing) * (k == target) for k in range(classes)]
        total -= sum(share * log for share, log in zip(shares, logs.tolist(), strict=True))
    return total / len(targets)


def test_training_descends_on_smoothed_targets_and_validation_measures_plain_ones() -> None:
    outputs = torch.randn(7, 4, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([0, 1, 2, 3, 0, 1, 2])
    module = Classification(
        torch.nn.Linear(1, 4), lambda p: torch.optim.SGD(p, lr=0.1), seed=0, classes=4, label_smoothing=0.3
    )
    assert module.objective(outputs, targets).item() == pytest.approx(smoothed_by_hand(outputs, targets, 0.3))
    assert module.criterion(outputs, targets).item() == pytest.approx(smoothed_by_hand(outputs, targets, 0.0))


def test_a_runs_losses(run_config: Callable[..., dict[str, Any]]) -> None:
    """One epoch of one batch: both losses can be computed from the weights before and after."""
    config = run_config("label_smoothing=0.2", "epochs=1", "batch_size=256", "lr=0.5")
    train(config)
    (row,) = RunFolder(run_path(config)).history()
    data = parts.build_data(config)
    data.setup()
    net = parts.build_network(config, data).eval()
    (batch,) = data.train_batches(0)
    with torch.no_grad():
        inputs, targets = data.gather(data.train, batch)
        assert row["train_loss"] == pytest.approx(smoothed_by_hand(net(inputs), targets, 0.2), rel=1e-5)
        weights = torch.load(RunFolder(run_path(config)).checkpoint_file)["state_dict"]
        net.load_state_dict({name.removeprefix("net."): weight for name, weight in weights.items()})
        inputs, targets = data.gather(data.val, torch.arange(len(data.val)))
        assert row["val_loss"] == pytest.approx(smoothed_by_hand(net(inputs), targets, 0.0), rel=1e-5)


def test_numbers_have_no_classes_to_smooth() -> None:
    config = compose("experiment=descent_line", "label_smoothing=0.1")
    data = parts.build_data(config)
    with pytest.raises(UserError, match=r"^label_smoothing=0\.1 needs classes, and data=line has numbers as targets; "):
        parts.build_module(config, parts.build_network(config, data), data, lr=0.1)
