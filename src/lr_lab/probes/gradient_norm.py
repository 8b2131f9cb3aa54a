"""Size of the gradient, length of a step and number of dead units, per layer."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lr_lab.modules.block import BlockModule
from lr_lab.probes.probe import Probe


class GradientNorm(Probe):
    """Three columns per layer, a layer being a module with parameters (or an activation) of its own.

    gradient_norm/<layer>: Euclidean norm of the probe batch's gradient with respect to the layer's parameters.
    update_ratio/<layer>: norm of the step that the optimizer would take on that gradient, over the norm of the
        parameters. The step is tried on copies, so momentum, second moments and weight decay count.
    dead_units/<layer>: share of the units of a ReLU or ELU (channels, after a convolution) whose input is not above
        0 anywhere on the probe batch.

    Costs one gradient of the probe batch and, for a moment, the memory of a second network and optimizer.

    Args:
        samples, every: as for every Probe.
    """

    def __init__(self, samples: int | None = 512, every: int = 1) -> None:
        super().__init__(samples, every)

    def measure(self, module: BlockModule, optimizer: Optimizer, inputs: Tensor, targets: Tensor) -> dict[str, float]:
        layers = {name: own for name, part in module.net.named_modules() if (own := _own_parameters(part))}
        parameters = [parameter for own in layers.values() for parameter in own]
        dead: dict[str, Tensor] = {}
        hooks = [
            part.register_forward_pre_hook(partial(_count_dead, dead, name))
            for name, part in module.net.named_modules()
            if isinstance(part, nn.ReLU | nn.ELU)
        ]
        try:
            loss = module.objective(module.net(inputs), targets)
        finally:
            for hook in hooks:
                hook.remove()
        gradients = dict(zip(parameters, torch.autograd.grad(loss, parameters, materialize_grads=True), strict=True))
        steps = _steps(optimizer, gradients)
        values = {f"gradient_norm/{name}": _norm(gradients[p] for p in own) for name, own in layers.items()}
        values |= {
            f"update_ratio/{name}": _norm(steps[p] for p in own) / _norm(p.detach() for p in own)
            for name, own in layers.items()
        }
        values |= {f"dead_units/{name}": share for name, share in dead.items()}
        return {name: value.item() for name, value in values.items()}


def _own_parameters(part: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in part.parameters(recurse=False) if parameter.requires_grad]


def _norm(tensors: Any) -> Tensor:
    return nn.utils.get_total_norm(list(tensors))


def _count_dead(shares: dict[str, Tensor], name: str, _: nn.Module, arguments: tuple[Tensor, ...]) -> None:
    """A forward pre-hook: before the activation, because one that works in place overwrites its input."""
    units = arguments[0].detach().transpose(0, 1).flatten(1)
    shares[name] = (units <= 0).all(dim=1).double().mean()


def _steps(optimizer: Optimizer, gradients: dict[nn.Parameter, Tensor]) -> dict[nn.Parameter, Tensor]:
    """How far each parameter would move if the optimizer took one step on these gradients."""
    copies: dict[int, Any] = {}
    trial = copy.deepcopy(optimizer, copies)
    for parameter, gradient in gradients.items():
        copies[id(parameter)].grad = gradient
    trial.step()
    return {parameter: copies[id(parameter)].detach() - parameter.detach() for parameter in gradients}
