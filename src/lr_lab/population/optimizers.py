"""SGD, Adam and AdamW for a population of networks, each with a learning rate, momentum and weight decay of its own.

torch.optim takes one number for each of these; here they are one value per member. The first dimension of a parameter
counts the members, (members, ...), and each member moves as torch.optim would move it alone. A step works in place on
the device and does not wait for it, so that a CUDA graph can capture it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lr_lab.population.membership import shared_settings


def population_optimizer(configs: Sequence[Mapping[str, Any]], parameters: Sequence[Tensor]) -> PopulationOptimizer:
    """The optimizer for members with these configurations, whose `shared_settings` are equal and not None.

    Args:
        configs: of the optimizer, one per member.
        parameters: (members, ...) each.
    """
    shared = shared_settings(configs[0])
    assert shared is not None
    if configs[0]["_target_"] == "torch.optim.SGD":
        momentum, decay = ([config.get(key, 0.0) for config in configs] for key in ("momentum", "weight_decay"))
        return PopulationSGD(parameters, momentum, decay, **shared)
    decoupled = configs[0]["_target_"] == "torch.optim.AdamW"
    decay = [config.get("weight_decay", 0.01 if decoupled else 0.0) for config in configs]
    return PopulationAdam(parameters, decay, decoupled, **shared)


class PopulationOptimizer(ABC):
    """The part that the optimizers of a population share.

    Args:
        parameters: (members, ...) each.
        weight_decay: one per member.

    Attributes:
        parameters: as given.
        steps: taken so far, a scalar on the device.
        moments: by the names that torch.optim gives them, a tensor per parameter, shaped like it.
    """

    def __init__(self, parameters: Sequence[Tensor], weight_decay: Sequence[float]) -> None:
        self.parameters = list(parameters)
        device = self.parameters[0].device
        exact = torch.float32 if device.type == "mps" else torch.float64
        self.steps = torch.zeros((), dtype=exact, device=device)
        self.moments: dict[str, list[Tensor]] = {}
        self._decay = self._values(weight_decay)

    def _values(self, values: Sequence[float]) -> Tensor | None:
        """One value per member, (members,); None if all are zero and so have no effect."""
        like = self.parameters[0]
        return torch.tensor(values, dtype=like.dtype, device=like.device) if any(values) else None

    def _add_moments(self, name: str) -> None:
        self.moments[name] = [torch.zeros_like(parameter, requires_grad=False) for parameter in self.parameters]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], rates: Tensor) -> None:
        """Moves the parameters.

        Args:
            gradients: (members, ...), one per parameter; left as they are.
            rates: (members,), of the parameters' type.
        """
        self.steps += 1
        for i, (parameter, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
            self._move(i, parameter, gradient, rates)

    @abstractmethod
    def _move(self, i: int, parameter: Tensor, gradient: Tensor, rates: Tensor) -> None:
        """Moves the i-th parameter."""

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "moments": self.moments}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.steps.copy_(state["steps"])
        for name, tensors in self.moments.items():
            for tensor, kept in zip(tensors, state["moments"][name], strict=True):
                tensor.copy_(kept)


def along(values: Tensor, parameter: Tensor) -> Tensor:
    """One value per member, shaped (members, 1, ...) to meet a parameter."""
    return values.view(-1, *[1] * (parameter.dim() - 1))


class PopulationSGD(PopulationOptimizer):
    """torch.optim.SGD without dampening, one momentum per member."""

    def __init__(
        self,
        parameters: Sequence[Tensor],
        momentum: Sequence[float],
        weight_decay: Sequence[float],
        nesterov: bool = False,
    ) -> None:
        super().__init__(parameters, weight_decay)
        self._momentum = self._values(momentum)
        self._nesterov = nesterov
        if self._momentum is not None:
            self._add_moments("momentum_buffer")

    def _move(self, i: int, parameter: Tensor, gradient: Tensor, rates: Tensor) -> None:
        if self._decay is not None:
            gradient = torch.addcmul(gradient, parameter, along(self._decay, parameter))
        if self._momentum is not None:
            momentum = along(self._momentum, parameter)
            # From zero, the first step leaves the gradient in the buffer, as torch.optim does.
            buffer = self.moments["momentum_buffer"][i].mul_(momentum).add_(gradient)
            gradient = torch.addcmul(gradient, buffer, momentum) if self._nesterov else buffer
        parameter.addcmul_(gradient, along(rates, parameter), value=-1)


class PopulationAdam(PopulationOptimizer):
    """torch.optim.Adam, or with `decoupled` weight decay torch.optim.AdamW, without amsgrad."""

    def __init__(
        self,
        parameters: Sequence[Tensor],
        weight_decay: Sequence[float],
        decoupled: bool,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(parameters, weight_decay)
        self._decoupled = decoupled
        self._betas = betas
        self._eps = eps
        self._add_moments("exp_avg")
        self._add_moments("exp_avg_sq")

    def _move(self, i: int, parameter: Tensor, gradient: Tensor, rates: Tensor) -> None:
        if self._decay is not None and self._decoupled:
            parameter.mul_(1 - along(rates * self._decay, parameter))
        elif self._decay is not None:
            gradient = torch.addcmul(gradient, parameter, along(self._decay, parameter))
        beta1, beta2 = self._betas
        mean = self.moments["exp_avg"][i].lerp_(gradient, 1 - beta1)
        square = self.moments["exp_avg_sq"][i].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        corrections = [1 - beta**self.steps for beta in (beta1, beta2)]
        size = (rates / corrections[0]).to(parameter.dtype)
        root = square.sqrt().div_(corrections[1].sqrt().to(parameter.dtype)).add_(self._eps)
        parameter.addcmul_(mean / root, along(size, parameter), value=-1)
