"""The descent of a network of few weights, followed weight by weight."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lr_lab.errors import UserError
from lr_lab.modules.block import BlockModule
from lr_lab.probes.hessian import flat, gradient_and_product
from lr_lab.probes.probe import Probe

MOST_WEIGHTS = 16


class Descent(Probe):
    """The weights, the curvature of the loss there, and the distance to its minimum.

    weight/<i>: the weights in the order of the network's parameters.
    curvature/<i>: eigenvalues of the Hessian of the loss on the probe batch, ascending.
    distance: Euclidean norm of Newton's step H^+ g, on a quadratic loss the distance of the weights to its minimum.

    Unlike other probes it measures the network as an epoch found it: with full batches, the network whose loss is
    the row's `train_loss`. Costs a gradient of the probe batch, and one more per weight.

    Args:
        samples, every: as for every Probe.

    Raises:
        UserError: an argument is as no Probe allows it; by `check`: the network has more than 16 weights.
    """

    def __init__(self, samples: int | None = None, every: int = 1) -> None:
        super().__init__(samples, every)

    def check(self, net: nn.Module) -> None:
        count = sum(parameter.numel() for parameter in net.parameters())
        if count > MOST_WEIGHTS:
            raise UserError(
                f"probes=descent follows every single weight, at most {MOST_WEIGHTS}, but this network has {count}; "
                "use probes=sharpness."
            )

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: BlockModule) -> None:  # type: ignore[override]
        self.columns = self.measure_now(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: BlockModule) -> None:  # type: ignore[override]
        pass  # measured as the epoch began

    def measure(self, module: BlockModule, optimizer: Optimizer, inputs: Tensor, targets: Tensor) -> dict[str, float]:
        parameters = list(module.net.parameters())
        weights = flat([parameter.detach() for parameter in parameters])
        gradient, product = gradient_and_product(module.objective(module.net(inputs), targets), parameters)
        hessian = torch.stack([product(unit) for unit in torch.eye(len(weights), device=weights.device)]).double().cpu()
        values = _numbered("weight", weights)
        if not hessian.isfinite().all():
            return values | _numbered("curvature", torch.full_like(weights, torch.nan)) | {"distance": float("nan")}
        # Eigenvalues below the rounding of the weights' type count as 0.
        rounding = len(weights) * torch.finfo(weights.dtype).eps
        step = torch.linalg.pinv(hessian, rtol=rounding, hermitian=True) @ gradient.double().cpu()
        return values | _numbered("curvature", torch.linalg.eigvalsh(hessian)) | {"distance": step.norm().item()}


def _numbered(name: str, values: Any) -> dict[str, float]:
    return {f"{name}/{index}": value for index, value in enumerate(values.tolist())}
