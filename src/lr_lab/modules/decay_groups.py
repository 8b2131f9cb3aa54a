"""Which parameters weight decay moves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn


def only_matrices_decay(parameters: Iterable[nn.Parameter]) -> list[dict[str, Any]]:
    """Two parameter groups for any of torch's optimizers; weight decay spares the second.

    The second has all parameters with at most one dimension: biases, and the scales and shifts of norms. The rule is
    that of T. He et al., "Bag of Tricks for Image Classification with Convolutional Neural Networks", CVPR 2019,
    section 3.1.
    """
    parameters = list(parameters)
    spared = [parameter for parameter in parameters if parameter.dim() <= 1]
    decayed = [parameter for parameter in parameters if parameter.dim() > 1]
    return [{"params": decayed}, {"params": spared, "weight_decay": 0.0}]
