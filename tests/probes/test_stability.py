"""Stability limits, against the optimizers themselves on a quadratic."""

from itertools import pairwise
from typing import Any

import pytest
import torch

from lr_lab.probes.stability import largest_stable_rate, stability_limit

LR = 0.1
SGD = {
    "plain": {},
    "decayed": {"weight_decay": 0.5},
    "heavy ball": {"momentum": 0.9},
    "decayed heavy ball": {"momentum": 0.5, "weight_decay": 3.0},
    "dampened": {"momentum": 0.9, "dampening": 0.6},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "weak nesterov": {"momentum": 0.3, "nesterov": True, "weight_decay": 0.2},
}


def settings_of(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    return optimizer.param_groups[0]


def remains_after(curvature: float, **settings: Any) -> float:
    """How far from the minimum of curvature/2 x^2 torch's SGD is after 600 steps, having begun at 1."""
    x = torch.nn.Parameter(torch.ones((), dtype=torch.float64))
    optimizer = torch.optim.SGD([x], lr=LR, **settings)
    for _ in range(600):
        x.grad = curvature * x.detach()
        optimizer.step()
    return abs(x.item())


@pytest.mark.parametrize("settings", SGD.values(), ids=SGD.keys())
def test_sgd_converges_just_below_its_limit_and_diverges_just_above(settings: dict[str, Any]) -> None:
    limit = stability_limit("SGD", settings_of(torch.optim.SGD([torch.zeros(1)], lr=LR, **settings)))
    assert limit is not None
    assert remains_after(0.98 * limit, **settings) < 0.1
    assert remains_after(1.02 * limit, **settings) > 10


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9])
def test_adam_with_its_preconditioner_held_fixed(beta: float) -> None:
    limit = stability_limit("Adam", settings_of(torch.optim.Adam([torch.zeros(1)], lr=LR, betas=(beta, 0.999))))
    assert limit is not None
    for factor, converges in ((0.98, True), (1.02, False)):
        x, mean = 1.0, 0.0
        for _ in range(3000):
            mean = beta * mean + (1 - beta) * factor * limit * x
            x -= LR * mean
        assert (abs(x) < 0.1) == converges


def test_the_numbers_people_know() -> None:
    adam = settings_of(torch.optim.Adam([torch.zeros(1)], lr=0.01))
    assert stability_limit("Adam", adam) == pytest.approx(38 / 0.01)
    sgd = settings_of(torch.optim.SGD([torch.zeros(1)], lr=0.01))
    assert stability_limit("SGD", sgd) == pytest.approx(2 / 0.01)


@pytest.mark.parametrize(
    "optimizer",
    [
        torch.optim.RMSprop([torch.zeros(1)]),
        torch.optim.AdamW([torch.zeros(1)]),
        torch.optim.Adam([torch.zeros(1)], amsgrad=True),
        torch.optim.SGD([torch.zeros(1)], maximize=True),
    ],
    ids=["RMSprop", "AdamW", "AMSGrad", "ascent"],
)
def test_others_have_none(optimizer: torch.optim.Optimizer) -> None:
    name, settings = type(optimizer).__name__, settings_of(optimizer)
    assert stability_limit(name, settings) is None
    assert largest_stable_rate(name, settings, 1.0) is None


@pytest.mark.parametrize("settings", SGD.values(), ids=SGD.keys())
def test_rate_and_limit_are_inverse(settings: dict[str, Any]) -> None:
    group = settings_of(torch.optim.SGD([torch.zeros(1)], lr=LR, **settings))
    rates = [largest_stable_rate("SGD", group, sharpness) for sharpness in (1.0, 7.0, 50.0)]
    assert [stability_limit("SGD", {**group, "lr": rate}) for rate in rates] == pytest.approx([1.0, 7.0, 50.0])
    assert all(flat is not None and sharp is not None and flat > sharp for flat, sharp in pairwise(rates))


def test_a_rate_of_zero_and_no_curvature_know_no_limit() -> None:
    group = settings_of(torch.optim.SGD([torch.zeros(1)], lr=0.0))
    assert stability_limit("SGD", group) == float("inf")
    assert largest_stable_rate("SGD", group, -1.0) == float("inf")
