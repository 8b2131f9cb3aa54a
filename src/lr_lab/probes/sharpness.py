"""Sharpness: the largest eigenvalue of the training loss's Hessian, beside the most that the optimizer can bear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from lr_lab.modules.block import BlockModule
from lr_lab.probes.hessian import flat, gradient_and_product, largest_eigenvalue
from lr_lab.probes.probe import Probe
from lr_lab.probes.stability import stability_limit


class Sharpness(Probe):
    """Columns `sharpness`, for Adam `preconditioned_sharpness`, and `stability_limit` where one is known.

    `sharpness` is that of the training loss on the probe batch, without weight decay. `stability_limit` is for the rate
    that the epoch ran at and for the sharpness the optimizer answers to: for Adam the preconditioned one. Where weight
    decay spares norms and biases, it is the limit of the weights that decay, too low for the others by at most the
    decay. Optimizers without a known limit leave that column out. A loss or gradient that is not finite gives NaN.

    Costs 7 to 13 Hessian-vector products where that was counted (simple_cnn on digits), each about two gradients of
    the probe batch, and twice that many with Adam; meanwhile the graph of the batch's gradient stays in memory.

    Args:
        samples, every: as for every Probe; for full-batch training the whole train split: samples=null.
    """

    def __init__(self, samples: int | None = 512, every: int = 1) -> None:
        super().__init__(samples, every)

    def measure(self, module: BlockModule, optimizer: Optimizer, inputs: Tensor, targets: Tensor) -> dict[str, float]:
        group = optimizer.param_groups[0]
        decays = {
            parameter: own["weight_decay"]
            for own in optimizer.param_groups
            for parameter in own["params"]
            # Adam has no state for a parameter that the loss does not depend on.
            if parameter.requires_grad and (type(optimizer) is not Adam or parameter in optimizer.state)
        }
        parameters = list(decays)
        loss = module.objective(module.net(inputs), targets)
        gradient, product = gradient_and_product(loss, parameters)
        values = {"sharpness": largest_eigenvalue(product, gradient)}
        limit = stability_limit(type(optimizer).__name__, group)
        if type(optimizer) is Adam and limit is not None:
            root = adam_preconditioner(optimizer, group, parameters).rsqrt()
            decay = flat([torch.full_like(parameter, value) for parameter, value in decays.items()])

            def preconditioned(vector: Tensor) -> Tensor:
                scaled = root * vector
                return root * (product(scaled) + decay * scaled)

            values["preconditioned_sharpness"] = largest_eigenvalue(preconditioned, root * gradient)
        if limit is not None:
            values["stability_limit"] = limit
        return values


def adam_preconditioner(optimizer: Adam, group: dict[str, Any], parameters: Sequence[Tensor]) -> Tensor:
    """The diagonal (n,) of P for some parameters of a group.

    A step of Adam is -lr P^-1 m, with m the plain moving average of the gradients.
    P = (1 - beta1^t) (sqrt(v / (1 - beta2^t)) + eps), as in Cohen et al. 2022, "Adaptive gradient methods at the
    edge of stability", section 2, with the bias corrections of Kingma & Ba 2015, algorithm 1.
    """
    first, second = group["betas"]
    rows = []
    for parameter in parameters:
        state = optimizer.state[parameter]
        step = state["step"].item()
        root = (state["exp_avg_sq"] / (1 - second**step)).sqrt()
        rows.append((1 - first**step) * (root + group["eps"]))
    return torch.clamp(flat(rows), min=torch.finfo(rows[0].dtype).tiny)
