"""The descent probe against gradient descent on a quadratic, worked out by hand and in numpy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lr_lab.errors import UserError
from lr_lab.modules.regression import Regression
from lr_lab.probes.descent import Descent
from lr_lab.run.config import compose
from lr_lab.run.folder import RunFolder, run_path
from lr_lab.run.parts import build_data
from lr_lab.run.training import train


def line_config(folder: Path, *overrides: str) -> dict[str, Any]:
    return compose("experiment=descent_line", "epochs=4", f"output_dir={folder}", *overrides)


def test_by_hand() -> None:
    """Inputs (1, 0) and (0, 2), targets 0: the loss is (a^2 + 4 b^2) / 2, its Hessian diag(1, 4), its minimum 0."""
    net = torch.nn.Linear(2, 1, bias=False)
    net.weight.data = torch.tensor([[3.0, -4.0]])
    module = Regression(net, lambda p: torch.optim.SGD(p, lr=0.1), seed=0)
    inputs, targets = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.zeros(2)
    assert Descent().measure(module, module.configure_optimizers(), inputs, targets) == pytest.approx(
        {"weight/0": 3, "weight/1": -4, "curvature/0": 1, "curvature/1": 4, "distance": 5}
    )


def test_along_what_the_loss_does_not_depend_on_there_is_no_distance() -> None:
    """One point: the minimum is a line, at the distance of the residual over the norm of the inputs."""
    net = torch.nn.Linear(3, 1, bias=False)
    net.weight.data = torch.tensor([[0.3, -0.7, 0.1]])
    module = Regression(net, lambda p: torch.optim.SGD(p, lr=0.1), seed=0)
    inputs, targets = torch.tensor([[0.37, 1.1, -0.6]]), torch.tensor([2.0])
    found = Descent().measure(module, module.configure_optimizers(), inputs, targets)["distance"]
    residual = 2.0 - (0.37 * 0.3 - 1.1 * 0.7 - 0.6 * 0.1)
    assert found == pytest.approx(residual / inputs.norm().item(), rel=1e-4)


def test_rows_are_the_descent(tmp_path: Path) -> None:
    """Every row holds the network whose loss it gives: the first the initial weights, each next one step on."""
    config = line_config(tmp_path, "lr=0.3", "seed=5")
    train(config)
    rows = RunFolder(run_path(config)).history()
    data = build_data(config)
    data.setup()
    x, y = data.train.inputs.numpy().astype(float), data.train.targets.numpy().astype(float)
    hessian = 2 * x.T @ x / len(x)
    minimum = np.linalg.lstsq(x, y, rcond=None)[0]
    weights = np.array([-1.0, 1.0])
    for row in rows:
        assert [row["weight/0"], row["weight/1"]] == pytest.approx(weights, abs=1e-5)
        assert row["train_loss"] == pytest.approx(np.mean((x @ weights - y) ** 2), rel=1e-5)
        assert [row["curvature/0"], row["curvature/1"]] == pytest.approx(np.linalg.eigvalsh(hessian), rel=1e-5)
        assert row["distance"] == pytest.approx(np.linalg.norm(weights - minimum), rel=1e-4)
        weights = weights - 0.3 * hessian @ (weights - minimum)


def test_skipped_epochs_leave_the_columns_empty(tmp_path: Path) -> None:
    config = line_config(tmp_path, "probes.descent.every=2")
    train(config)
    assert [row["distance"] is None for row in RunFolder(run_path(config)).history()] == [False, True, False, True]


def test_refuses_a_network_of_many_weights(run_config: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(UserError, match=r"probes=descent .* at most 16, but this network has 434258"):
        train(run_config("probes=[descent]"))
