"""Classification: cross-entropy and accuracy around any network that returns logits."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.classification import MulticlassAccuracy

from lr_lab.modules.block import BlockModule


class Classification(BlockModule):
    """Cross-entropy in nats; accuracy as the fraction of samples whose largest logit is at the right class.

    Args:
        net: (N, C, H, W) images -> (N, classes) logits.
        classes: their number.
    """

    counts_hits = True

    def __init__(
        self,
        net: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        seed: int,
        classes: int,
    ) -> None:
        super().__init__(net, optimizer, seed)
        self.validation["val_accuracy"] = MulticlassAccuracy(classes, average="micro", validate_args=False)

    def criterion(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets)

    def hits(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.argmax(dim=1) == targets).sum()
