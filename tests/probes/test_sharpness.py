"""The sharpness probe's columns, against dense Hessians of the trained network."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.func import functional_call, hessian
from torch.nn import functional as F

from lr_lab.modules.classification import Classification
from lr_lab.modules.decay_groups import only_matrices_decay
from lr_lab.probes.sharpness import Sharpness

SIZE = 12 * 4 + 4 + 4 * 3 + 3


def trained(make: Callable[..., torch.optim.Optimizer]) -> tuple[Classification, torch.optim.Optimizer, Any, Any]:
    """A small network in float64 after ten steps, with its optimizer, inputs and targets."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(12, 4), nn.ELU(), nn.Linear(4, 3)).double()
    inputs, targets = torch.randn(25, 12).double(), torch.randint(3, (25,))
    module = Classification(net, make, 0, 3)
    optimizer = make(net.parameters())
    for _ in range(10):
        optimizer.zero_grad()
        F.cross_entropy(net(inputs), targets).backward()
        optimizer.step()
    return module, optimizer, inputs, targets


def dense_hessian(module: Classification, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    parameters = {name: p.detach() for name, p in module.net.named_parameters()}
    blocks = hessian(lambda p: F.cross_entropy(functional_call(module.net, p, (inputs,)), targets))(parameters)
    rows = [
        torch.cat([blocks[a][b].reshape(parameters[a].numel(), parameters[b].numel()) for b in parameters], dim=1)
        for a in parameters
    ]
    return torch.cat(rows)


@pytest.mark.parametrize(("momentum", "decay", "limit"), [(0.0, 0.0, 2 / 0.1), (0.9, 0.0, 3.8 / 0.1), (0.9, 0.3, 37.7)])
def test_sgd(momentum: float, decay: float, limit: float) -> None:
    """Weight decay moves the limit, not the sharpness, which is that of the loss people plot."""
    module, optimizer, inputs, targets = trained(
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=momentum, weight_decay=decay)
    )
    values = Sharpness().measure(module, optimizer, inputs, targets)
    exact = torch.linalg.eigvalsh(dense_hessian(module, inputs, targets))[-1].item()
    assert values == {"sharpness": pytest.approx(exact, rel=1e-3), "stability_limit": pytest.approx(limit)}


@pytest.mark.parametrize(("decay", "all_decay"), [(0.0, True), (0.1, True), (0.3, False)])
def test_adam(decay: float, all_decay: bool) -> None:
    """The preconditioner is read off a step that torch's own Adam took."""

    def adam(parameters: Any) -> torch.optim.Optimizer:
        groups = parameters if all_decay else only_matrices_decay(parameters)
        return torch.optim.Adam(groups, lr=0.01, weight_decay=decay)

    module, optimizer, inputs, targets = trained(adam)
    before = [p.detach().clone() for p in module.net.parameters()]
    optimizer.zero_grad()
    F.cross_entropy(module.net(inputs), targets).backward()
    optimizer.step()
    values = Sharpness().measure(module, optimizer, inputs, targets)
    moved = torch.cat([(p.detach() - old).reshape(-1) for p, old in zip(module.net.parameters(), before, strict=True)])
    momentum = torch.cat([optimizer.state[p]["exp_avg"].reshape(-1) for p in module.net.parameters()])
    root = (moved / (-0.01 * momentum)).sqrt()  # a step is -lr P^-1 m
    curvature = dense_hessian(module, inputs, targets)
    decays = [torch.full((p.numel(),), decay * (all_decay or p.dim() > 1)) for p in module.net.parameters()]
    decayed = curvature + torch.diag(torch.cat(decays)).double()
    assert values == {
        "sharpness": pytest.approx(torch.linalg.eigvalsh(curvature)[-1].item(), rel=1e-3),
        "preconditioned_sharpness": pytest.approx(
            torch.linalg.eigvalsh(root[:, None] * decayed * root)[-1].item(), rel=1e-3
        ),
        "stability_limit": pytest.approx(38 / 0.01),
    }


def test_adam_with_weights_that_do_not_move() -> None:
    """Frozen, or without a part in the loss: they have no curvature, and Adam keeps nothing for them."""

    def adam(parameters: Any) -> torch.optim.Optimizer:
        frozen, *_ = parameters = list(parameters)
        frozen.requires_grad_(False)
        return torch.optim.Adam([*parameters, nn.Parameter(torch.ones(3).double())], lr=0.01)

    module, optimizer, inputs, targets = trained(adam)
    values = Sharpness().measure(module, optimizer, inputs, targets)
    moving = dense_hessian(module, inputs, targets)[48:, 48:]
    assert values["sharpness"] == pytest.approx(torch.linalg.eigvalsh(moving)[-1].item(), rel=1e-3)
    assert values["preconditioned_sharpness"] > 0


def test_an_optimizer_without_a_limit_has_no_such_column() -> None:
    parts = trained(lambda p: torch.optim.RMSprop(p, lr=0.001))
    assert list(Sharpness().measure(*parts)) == ["sharpness"]


def test_a_network_that_blew_up_has_no_sharpness() -> None:
    module, optimizer, inputs, targets = trained(lambda p: torch.optim.SGD(p, lr=0.1))
    with torch.no_grad():
        next(module.net.parameters()).fill_(float("nan"))
    values = Sharpness().measure(module, optimizer, inputs, targets)
    assert torch.tensor(values["sharpness"]).isnan()
    assert values["stability_limit"] == pytest.approx(20)
