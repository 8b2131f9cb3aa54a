"""A chain of convolutions with free depth, width, batch norm and start, for the high learning rate question."""

from typing import Any

import torch
from torch import Tensor, nn

from lr_lab.checks import is_number, is_whole_number
from lr_lab.errors import NotAllowed
from lr_lab.models.arguments import check_arguments, scaled

POOLED = 3


class PlainCNN(nn.Module):
    """`depth` padded 3x3 convolutions, each with batch norm or without and ReLU; then one hidden layer, ReLU.

    16 filters in the first convolution, 32 in the others, 128 hidden units; max pooling by 2 in the first three.
    (N, in_channels, size, size) -> (N, classes) logits. 81,290 parameters by default. `width` multiplies the filters
    and hidden units; `dropout` goes before each linear layer.

    Weights start normal, with the deviation that keeps the size of signals from layer to layer: sqrt(2 / fan-in)
    before a ReLU, sqrt(1 / fan-in) at the end (He et al. 2015, "Delving deep into rectifiers", section 2.2). Two
    arguments start the network elsewhere. `gain` multiplies these weights: at 1 / sqrt(6) = 0.41 their deviation before
    a ReLU is that of PyTorch's own start, and signals shrink to 0.41 of their size with every layer. `bias` shifts
    the input of each ReLU at the start (it is the bias of its layer, or of its batch norm): far below 0 no ReLU passes
    anything on, and all gradients but that of the last bias are exactly 0.

    Raises ValueError for arguments that give no network.
    """

    def __init__(
        self,
        in_channels: int = 3,
        size: int = 32,
        classes: int = 10,
        width: float = 1.0,
        dropout: float = 0.0,
        depth: int = 3,
        batch_norm: bool = False,
        gain: float = 1.0,
        bias: float = 0.0,
    ) -> None:
        super().__init__()
        _check_start(depth, batch_norm, gain, bias)
        pooled = min(depth, POOLED)
        check_arguments("plain_cnn", 2**pooled, in_channels, size, classes, width, dropout)
        *filters, hidden = scaled(width, 16, *[32] * (depth - 1), 128)
        layers: list[nn.Module] = []
        for index, (before, after) in enumerate(zip([in_channels, *filters], filters, strict=False)):
            layers.append(nn.Conv2d(before, after, 3, padding=1))
            if batch_norm:
                layers.append(nn.BatchNorm2d(after))
            if index < pooled:  # before the monotone ReLU: the same function at a quarter of the cost
                layers.append(nn.MaxPool2d(2))
            layers.append(nn.ReLU())
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(filters[-1] * (size // 2**pooled) ** 2, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )
        self._start(gain, bias)

    def _start(self, gain: float, bias: float) -> None:
        *_, last = self.classifier
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="linear" if module is last else "relu")
                with torch.no_grad():
                    module.weight *= gain
            if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d) and module.bias is not None:
                # The bias of a convolution under batch norm has no effect.
                nn.init.constant_(module.bias, 0.0 if module is last else bias)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images))


def _check_start(depth: Any, batch_norm: Any, gain: Any, bias: Any) -> None:
    if not is_whole_number(depth, 1):
        raise NotAllowed(f"plain_cnn needs depth to be a whole number of at least 1, not {depth!r}.")
    if not isinstance(batch_norm, bool):
        raise NotAllowed(f"plain_cnn needs batch_norm to be true or false, not {batch_norm!r}.")
    if not (is_number(gain) and gain > 0):
        raise NotAllowed(f"plain_cnn needs gain to be a number above 0, such as 0.41, not {gain!r}.")
    if not is_number(bias):
        raise NotAllowed(f"plain_cnn needs bias to be a finite number, such as 0 or -10, not {bias!r}.")
