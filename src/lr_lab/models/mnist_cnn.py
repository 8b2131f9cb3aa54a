"""The MNIST network of Yang & Huang 2019, appendix 6.2."""

from torch import Tensor, nn

from lr_lab.models.arguments import check_arguments, scaled


class MnistCNN(nn.Module):
    """d_20, f_3380-128, ReLU, f_128-10; d_k is an unpadded 3x3 convolution, max pooling by 2, ReLU.

    (N, in_channels, size, size) -> (N, classes) logits; the listed softmax is in the loss. 434,258 parameters
    by default. `width` multiplies the filters and hidden units; `dropout`, which the report lacks, goes
    before each linear layer. Raises ValueError for arguments that give no network.
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
        check_arguments("mnist_cnn", 4, in_channels, size, classes, width, dropout)
        filters, hidden = scaled(width, 20, 128)
        side = (size - 2) // 2
        self.features = nn.Sequential(nn.Conv2d(in_channels, filters, 3), nn.MaxPool2d(2), nn.ReLU())
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(filters * side * side, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images))
