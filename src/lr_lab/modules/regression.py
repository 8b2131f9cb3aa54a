"""Regression: the mean squared error around any network that returns one number per sample."""

from torch import Tensor
from torch.nn import functional as F

from lr_lab.modules.block import BlockModule


class Regression(BlockModule):
    """Mean squared error of (N,) or (N, 1) outputs against (N,) targets."""

    def criterion(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.mse_loss(outputs.view_as(targets), targets)
