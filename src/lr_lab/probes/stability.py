"""The largest sharpness at which an optimizer with a given rate does not diverge on a quadratic."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def stability_limit(algorithm: str, settings: Mapping[str, Any]) -> float | None:
    """The limit on the sharpness of the training loss; None for an optimizer that has no known one.

    On a quadratic with curvature s each of these is a linear recursion; it diverges once s exceeds (lr = rate,
    b = momentum, d = dampening, w = weight decay)

    - SGD: 2 / lr; with momentum (2 + 2b) / ((1 - d) lr), the heavy ball for d = 0; with Nesterov's
      (2 + 2b) / ((1 + 2b) lr): Cohen et al. 2021, "Gradient descent on neural networks typically occurs at the edge
      of stability", section 2 and appendix B. Weight decay adds w to the curvature and so takes w off the limit.
    - Adam: (2 + 2 beta1) / ((1 - beta1) lr), 38 / lr for beta1 = 0.9, for the sharpness of P^-1/2 H P^-1/2, its
      preconditioner P held fixed: Cohen et al. 2022, "Adaptive gradient methods at the edge of stability", section 3.
      There H is the Hessian of what Adam descends on, weight decay included.

    Args:
        algorithm: name of the class in torch.optim.
        settings: its settings under torch's names, such as one of its `param_groups`.
    """
    factor = _limit_times_rate(algorithm, settings)
    if factor is None:
        return None
    limit = factor / settings["lr"] if settings["lr"] else math.inf
    return limit - settings["weight_decay"] if algorithm == "SGD" else limit


def largest_stable_rate(algorithm: str, settings: Mapping[str, Any], sharpness: float) -> float | None:
    """The rate whose limit is `sharpness`: `stability_limit` solved for lr; None where there is no limit."""
    factor = _limit_times_rate(algorithm, settings)
    if factor is None:
        return None
    curvature = sharpness + (settings["weight_decay"] if algorithm == "SGD" else 0.0)
    return factor / curvature if curvature > 0 else math.inf


def _limit_times_rate(algorithm: str, settings: Mapping[str, Any]) -> float | None:
    if any(settings.get(other) for other in ("maximize", "amsgrad", "decoupled_weight_decay")):
        return None
    if algorithm == "SGD":
        momentum = settings["momentum"]
        if settings.get("nesterov"):
            return (2 + 2 * momentum) / (1 + 2 * momentum)
        # torch's SGD without momentum knows no dampening.
        return (2 + 2 * momentum) / (1 - settings.get("dampening", 0.0)) if momentum else 2.0
    if algorithm == "Adam":
        first = settings["betas"][0]
        return (2 + 2 * first) / (1 - first)
    return None
