"""Cutout."""

from __future__ import annotations

import torch
from torch import Tensor

from lr_lab.augment.augmentation import Augmentation
from lr_lab.checks import check_whole_number


class Cutout(Augmentation):
    """Covers a square of each picture, its middle anywhere in the picture, with the mean of the training pixels.

    Source: T. DeVries, G. W. Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", 2017. The
    paper covers with 0 after normalisation, which is this mean, here rounded to a whole number.

    Args:
        size: pixels a side; the paper takes 16 for CIFAR-10 and 8 for CIFAR-100.

    Raises:
        UserError: size is not a whole number of at least 1.
    """

    choices = 2  # the middle's line and column

    def __init__(self, size: int = 16) -> None:
        check_whole_number("augment.size", size, 1)
        self.size = size

    def draw(self, samples: int, height: int, width: int, chance: torch.Generator) -> Tensor:
        return torch.stack([torch.randint(side, (samples,), generator=chance) for side in (height, width)], dim=1)

    def apply(self, pixels: Tensor, drawn: Tensor, mean: Tensor) -> Tensor:
        _, height, width, channels = pixels.shape
        starts = drawn - self.size // 2
        down, right = (
            torch.arange(side, device=pixels.device) - start[:, None]
            for side, start in zip((height, width), starts.unbind(1), strict=True)
        )
        lines, columns = ((offset >= 0) & (offset < self.size) for offset in (down, right))
        # Whole lines of a picture, as channels alone are too short a stretch of memory to be fast.
        covered = lines[:, :, None] & columns.repeat_interleave(channels, dim=1)[:, None, :]
        return torch.where(covered, mean.repeat(width), pixels.flatten(2)).view(pixels.shape)
