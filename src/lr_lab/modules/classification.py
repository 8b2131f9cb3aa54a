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
        label_smoothing: the part of each target that is spread over all classes (C. Szegedy et al., "Rethinking the
            Inception Architecture for Computer Vision", CVPR 2016, section 7). The training loss is that of smoothed
            targets. The validation loss stays the plain cross-entropy, so that runs with and without compare.
        gradient_clip, ema: as of BlockModule.
    """

    counts_hits = True

    def __init__(
        self,
        net: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        seed: int,
        classes: int,
        label_smoothing: float = 0.0,
        gradient_clip: float | None = None,
        ema: float | None = None,
    ) -> None:
        super().__init__(net, optimizer, seed, gradient_clip, ema)
        self.label_smoothing = label_smoothing
        self.validation["val_accuracy"] = MulticlassAccuracy(classes, average="micro", validate_args=False)

    def criterion(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets)

    def objective(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets, label_smoothing=self.label_smoothing)

    def hits(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.argmax(dim=1) == targets).sum()
