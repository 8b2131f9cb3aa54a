"""Gradient descent on a line, through a whole run, against its closed form."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lr_lab.models.linear import Linear
from lr_lab.run import parts
from lr_lab.run.config import compose
from lr_lab.run.folder import RunFolder, run_path
from lr_lab.run.training import train


def line(folder: Path, lr: float, epochs: int) -> dict[str, Any]:
    choices = ("data=line", "model=linear", "sequence=constant", "trainer.accelerator=cpu")
    return compose(*choices, f"output_dir={folder}", "batch_size=100", f"epochs={epochs}", f"lr={lr}")


@pytest.mark.parametrize("lr", [0.1, 0.7, 1.01])
def test_losses_follow_the_closed_form(tmp_path: Path, lr: float) -> None:
    config = line(tmp_path, lr, epochs=12)
    result = train(config)
    data = parts.build_data(config)
    data.setup()
    x, y = data.train.inputs.double().numpy(), data.train.targets.double().numpy()
    hessian = 2 * x.T @ x / len(y)
    best = np.linalg.lstsq(x, y, rcond=None)[0]
    weights, losses = np.array([-1.0, 1.0]), []
    for _ in range(12):  # w <- w - lr H (w - best)
        losses.append(np.mean((x @ weights - y) ** 2))
        weights = weights - lr * hessian @ (weights - best)
    history = RunFolder(run_path(config)).history()
    assert [row["train_loss"] for row in history] == pytest.approx(losses, rel=1e-4)
    assert all(row["val_accuracy"] is None and row["train_accuracy"] is None for row in history)
    assert result["val_accuracy"] is None


def test_a_rate_over_the_limit_diverges(tmp_path: Path) -> None:
    assert train(line(tmp_path, lr=1.5, epochs=30))["status"] == "diverged"
    assert train(line(tmp_path, lr=0.7, epochs=30))["status"] == "completed"


@pytest.mark.parametrize("start", [[], ["a"], 5, "12"])
def test_a_start_that_is_none_is_refused(start: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"model\.start="):
        Linear(start)
