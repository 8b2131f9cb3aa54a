"""Noisy points on a line, for gradient descent one can follow by hand."""

from __future__ import annotations

import torch

from lr_lab.chance import generator
from lr_lab.checks import check_whole_number
from lr_lab.data.in_memory import InMemoryDataModule
from lr_lab.data.split import Split
from lr_lab.errors import UserError


class Line(InMemoryDataModule):
    """y = 3 x + 2 + noise, with x uniform on [-1, 1) and a column of ones for the bias.

    Source: "gradient descent on a line" (docs/sources.md).

    Training and validation are on the same points: the study asks how fast descent goes, not how well it
    generalises.

    Args:
        batch_size: points per step; `n` for full-batch gradient descent.
        seed: of the run.
        n: how many points.
        noise: "uniform" on [0, 1), as the source's code has it, or "gaussian" with mean 0 and deviation 1, as its
            text says.
        split_seed: draws the points, the same for every seed of a run.
        block_size: batches per Block.

    Raises:
        UserError: an argument is out of range.
    """

    input_shape = (2,)
    classes = None

    def __init__(
        self,
        batch_size: int,
        seed: int,
        n: int = 100,
        noise: str = "uniform",
        split_seed: int = 0,
        block_size: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed, split_seed=split_seed, block_size=block_size)
        check_whole_number("data.n", n, 2)
        if noise not in ("uniform", "gaussian"):
            raise UserError(f"data.noise={noise} is not known; give uniform or gaussian.")
        self.n = n
        self.noise = noise

    def read(self) -> tuple[Split, Split]:
        chance = generator(self.split_seed, "data")
        x = 2 * torch.rand(self.n, generator=chance) - 1
        draw = torch.rand if self.noise == "uniform" else torch.randn
        points = Split(torch.stack((x, torch.ones(self.n)), dim=1), 3 * x + 2 + draw(self.n, generator=chance))
        return points, points
