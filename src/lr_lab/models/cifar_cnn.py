"""The CIFAR-10 network of Yang & Huang 2019, appendix 6.2."""

from torch import Tensor, nn

from lr_lab.models.arguments import check_arguments, scaled


class CifarCNN(nn.Module):
    """d_16, d_32, d_64, dropout, f_1024-500, ELU, dropout, f_500-10; d_k: 3x3 convolution, ELU, pooling.

    Convolutions are padded. (N, in_channels, size, size) -> (N, classes) logits. 541,094 parameters by
    default. `width` multiplies the filters and hidden units; the report names no probability of dropout.
    Raises ValueError for arguments that give no network.
    """

    def __init__(
        self,
        in_channels: int = 3,
        size: int = 32,
        classes: int = 10,
        width: float = 1.0,
        dropout: float = 0.25,
    ) -> None:
        super().__init__()
        check_arguments("cifar_cnn", 8, in_channels, size, classes, width, dropout)
        first, second, third, hidden = scaled(width, 16, 32, 64, 500)
        # ELU is monotone, so pooling first gives the same function with a quarter of the exponentials.
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, first, 3, padding=1),
            nn.MaxPool2d(2),
            nn.ELU(),
            nn.Conv2d(first, second, 3, padding=1),
            nn.MaxPool2d(2),
            nn.ELU(),
            nn.Conv2d(second, third, 3, padding=1),
            nn.MaxPool2d(2),
            nn.ELU(),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(third * (size // 8) ** 2, hidden),
            nn.ELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images))
