"""Samples in memory, and drawing a part of them in which every class has its share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Split:
    """Samples in memory.

    Attributes:
        inputs: uint8 (N, C, H, W) with the channel innermost in memory, or float32 (N, F).
        targets: int64 (N,), or float32 (N,) for regression.
    """

    inputs: Tensor
    targets: Tensor

    @classmethod
    def of_images(cls, pixels: Tensor, labels: Tensor) -> Split:
        """From pixels uint8 (N, H, W, C), contiguous, and labels int64 (N,); nothing is copied."""
        return cls(pixels.permute(0, 3, 1, 2), labels)

    def __len__(self) -> int:
        return len(self.targets)

    @cached_property
    def rows(self) -> Tensor:
        """The inputs as (N, H * W * C) in the order of memory: a view in which a sample is one row."""
        return self.inputs.movedim(1, -1).flatten(1)

    def part(self, index: Tensor) -> Split:
        """The samples at `index`, int64 (n,), as a split of their own."""
        inputs = self.inputs.movedim(1, -1).index_select(0, index).movedim(-1, 1)
        return Split(inputs, self.targets.index_select(0, index))

    def to(self, device: torch.device) -> Split:
        return Split(self.inputs.to(device), self.targets.to(device))


def stratified_sample(targets: Tensor, count: int, chance: torch.Generator) -> Tensor:
    """Indices of `count` samples, ascending, int64 (count,), in which every class has its share.

    Each class is shuffled and its member of rank k (from 0) placed at k / size of the class; the `count`
    lowest places are taken. So no class is over one sample above its share, and each is there if `count` allows.
    """
    shuffled = torch.randperm(len(targets), generator=chance)
    by_class = shuffled[targets[shuffled].argsort(stable=True)]
    _, sizes = targets.unique(return_counts=True)
    place = torch.cat([torch.arange(size, dtype=torch.float64) / size for size in sizes.tolist()])
    # Equal places are common (all firsts are at 0); chance decides among them.
    ties = torch.randperm(len(targets), generator=chance)
    lowest = ties[place[ties].argsort(stable=True)][:count]
    return by_class[lowest].sort().values
