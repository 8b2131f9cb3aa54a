"""The gradient_norm probe, against gradients, steps and dead units worked out another way."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lr_lab.modules.classification import Classification
from lr_lab.probes.gradient_norm import GradientNorm

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.2),
    "heavy ball, decayed": lambda p: torch.optim.SGD(p, lr=0.2, momentum=0.9, weight_decay=0.1),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
}


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(0)
    return torch.randn(30, 2, 6, 6, generator=chance), torch.randint(4, (30,), generator=chance)


def small_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(48, 5), nn.ELU(), nn.Linear(5, 4)
    )


def step(net: nn.Module, optimizer: torch.optim.Optimizer, batch: tuple[Tensor, Tensor]) -> None:
    optimizer.zero_grad()
    F.cross_entropy(net(batch[0]), batch[1]).backward()
    optimizer.step()


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_norms_are_those_of_the_step_that_follows(
    make: Callable[..., torch.optim.Optimizer], batch: tuple[Tensor, Tensor]
) -> None:
    net = small_net()
    module = Classification(net, make, 0, 4)
    optimizer = make(net.parameters())
    for _ in range(3):
        step(net, optimizer, (batch[0][:10], batch[1][:10]))
    values = GradientNorm().measure(module, optimizer, *batch)
    before = [parameter.detach().clone() for parameter in net.parameters()]
    step(net, optimizer, batch)
    gradients = [parameter.grad for parameter in net.parameters() if parameter.grad is not None]
    after = [parameter.detach() for parameter in net.parameters()]
    for place, layer in enumerate(("0", "3", "5")):
        own = slice(2 * place, 2 * place + 2)  # weight and bias

        def norm(tensors: list[Tensor]) -> float:
            return sum(tensor.square().sum().item() for tensor in tensors) ** 0.5

        moved = [new - old for new, old in zip(after[own], before[own], strict=True)]
        assert values[f"gradient_norm/{layer}"] == pytest.approx(norm(gradients[own]), rel=1e-5)
        assert values[f"update_ratio/{layer}"] == pytest.approx(norm(moved) / norm(before[own]), rel=1e-4)


def test_dead_units_are_those_killed(batch: tuple[Tensor, Tensor]) -> None:
    net: Any = small_net()
    with torch.no_grad():
        net[0].bias[1] = -1e3  # one channel of three, everywhere
        net[3].bias[:2] = -1e3  # two units of five
        net[3].weight[2] = 0
        net[3].bias[2] = 1e-6  # hardly alive
    module = Classification(net, OPTIMIZERS["sgd"], 0, 4)
    values = GradientNorm().measure(module, OPTIMIZERS["sgd"](net.parameters()), *batch)
    assert values["dead_units/1"] == pytest.approx(1 / 3)
    assert 2 / 5 <= values["dead_units/4"] < 1
    one_alive = batch[0].clone()
    with torch.no_grad():
        net[0].bias[1] = 0
        net[0].weight[1] = -net[0].weight[1].abs()
        one_alive[:] = 1
        one_alive[7, :, 2:5, 2:5] = -1  # a channel is alive if it is active once, at one place of one sample
    values = GradientNorm().measure(module, OPTIMIZERS["sgd"](net.parameters()), one_alive, batch[1])
    hidden = F.conv2d(one_alive, net[0].weight, net[0].bias)
    assert values["dead_units/1"] == pytest.approx((hidden.amax(dim=(0, 2, 3)) <= 0).double().mean().item())
    assert hidden[7, 1].amax() > 0 >= hidden[:7, 1].amax()


def test_the_columns_do_not_move(batch: tuple[Tensor, Tensor]) -> None:
    net = small_net()
    module = Classification(net, OPTIMIZERS["sgd"], 0, 4)
    names = list(GradientNorm().measure(module, OPTIMIZERS["sgd"](net.parameters()), *batch))
    assert names == [
        *("gradient_norm/0", "gradient_norm/3", "gradient_norm/5"),
        *("update_ratio/0", "update_ratio/3", "update_ratio/5"),
        *("dead_units/1", "dead_units/4"),
    ]
