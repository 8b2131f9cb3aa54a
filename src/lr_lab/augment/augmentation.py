"""The base of all augmentations: chance decides once an epoch for all samples, then each batch is changed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Augmentation:
    """A change of pictures before they are normalised.

    A draw belongs to a sample and an epoch, so the picture is the same in any batch.

    Attributes:
        choices: how many numbers decide on one picture.
    """

    choices: int

    def draw(self, samples: int, height: int, width: int, chance: torch.Generator) -> Tensor:
        """The random choices for each picture of an epoch, int64 (samples, choices)."""
        raise NotImplementedError

    def apply(self, pixels: Tensor, drawn: Tensor, mean: Tensor) -> Tensor:
        """The changed batch.

        Args:
            pixels: uint8 (B, H, W, C), contiguous.
            drawn: the pictures' rows of `draw`, on the same device.
            mean: of the training pixels, uint8 (C,).

        Returns:
            uint8 (B, H, W, C), contiguous.
        """
        raise NotImplementedError


class Chain(Augmentation):
    """One augmentation after another.

    Args:
        steps: in the order in which they are applied.
    """

    def __init__(self, steps: Sequence[Augmentation]) -> None:
        self.steps = list(steps)
        self.choices = sum(step.choices for step in self.steps)

    def draw(self, samples: int, height: int, width: int, chance: torch.Generator) -> Tensor:
        return torch.cat([step.draw(samples, height, width, chance) for step in self.steps], dim=1)

    def apply(self, pixels: Tensor, drawn: Tensor, mean: Tensor) -> Tensor:
        for step, part in zip(self.steps, drawn.split([step.choices for step in self.steps], dim=1), strict=True):
            pixels = step.apply(pixels, part, mean)
        return pixels
