"""The network of the MNIST learning rate article (docs/sources.md)."""

from torch import Tensor, nn

from lr_lab.models.arguments import check_arguments, scaled


class SimpleCNN(nn.Module):
    """Two padded 3x3 convolutions with 8 and 16 filters, each with ReLU and pooling, then 128 hidden units.

    (N, in_channels, size, size) -> (N, classes) logits. 103,018 parameters by default. `width` multiplies the
    filters and hidden units; `dropout`, which the article lacks, goes before each linear layer. Raises
    ValueError for arguments that give no network.
    """

    def __init__(
        self,
        in_channels: int = 1,
        size: int = 28,
        classes: int = 10,
        width: float = 1.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_arguments("simple_cnn", 4, in_channels, size, classes, width, dropout)
        first, second, hidden = scaled(width, 8, 16, 128)
        # ReLU is monotone, so pooling first is the same function at a quarter of the cost.
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, first, 3, padding=1),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(first, second, 3, padding=1),
            nn.MaxPool2d(2),
            nn.ReLU(),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(second * (size // 4) ** 2, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images))
