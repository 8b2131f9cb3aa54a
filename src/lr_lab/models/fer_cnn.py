"""The network posted in the FER2013 overfitting question (docs/sources.md)."""

from torch import Tensor, nn

from lr_lab.models.arguments import check_arguments, scaled


class FerCNN(nn.Module):
    """Padded 3x3 convolutions with 64, 128, 256, 256, 64 filters, batch norm and ReLU, then 512 hidden units.

    Max pooling by 2 follows the first, third and fifth. (N, in_channels, size, size) -> (N, classes) logits.
    2,292,551 parameters by default. As in the post, biases start at 0 and batch norms at 1 and 0. `width`
    multiplies the filters and hidden units; `dropout`, which the post lacks, goes before each linear layer.
    Raises ValueError for arguments that give no network.
    """

    def __init__(
        self, in_channels: int = 1, size: int = 48, classes: int = 7, width: float = 1.0, dropout: float = 0.0
    ) -> None:
        super().__init__()
        check_arguments("fer_cnn", 8, in_channels, size, classes, width, dropout)
        *filters, hidden = scaled(width, 64, 128, 256, 256, 64, 512)
        layers: list[nn.Module] = []
        before = in_channels
        for after, pooled in zip(filters, (True, False, True, False, True), strict=True):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after)]
            if pooled:  # before the monotone ReLU: the same function at a quarter of the cost
                layers.append(nn.MaxPool2d(2))
            layers.append(nn.ReLU())
            before = after
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(filters[-1] * (size // 8) ** 2, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images))
