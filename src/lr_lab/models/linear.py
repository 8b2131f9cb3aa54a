"""A linear function, for gradient descent on a line (docs/sources.md)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Linear(nn.Module):
    """(N, F) -> (N,): the product with F weights, which start at `start`. A bias is an input column of ones.

    Raises ValueError if `start` is empty or not made of numbers.
    """

    def __init__(self, start: Sequence[float] = (-1.0, 1.0)) -> None:
        super().__init__()
        numbers = isinstance(start, list | tuple) and all(isinstance(value, int | float) for value in start)
        if not numbers or not start:
            raise ValueError(f"model.start={start} is not allowed; give a number per input, such as [-1, 1]")
        self.weight = nn.Parameter(torch.tensor(start, dtype=torch.float32))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs @ self.weight
