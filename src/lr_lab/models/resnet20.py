"""The ResNet of 20 layers for CIFAR-10."""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from lr_lab.models.arguments import check_counts


class ResNet20(nn.Module):
    """A 3x3 convolution, then nine blocks of two with 16, 32 and 64 filters, global average pooling, one linear layer.

    He et al. 2016, "Deep residual learning for image recognition", section 4.2 with n = 3. The second and third
    groups of three blocks begin with stride 2. Shortcuts have no parameters (option A): they take every second pixel
    and fill the new channels with zeros. Batch norm follows each convolution. Weights start as in He et al. 2015,
    "Delving deep into rectifiers". (N, in_channels, size, size) -> (N, classes) logits; any size. 269,722 parameters by
    default, the 0.27 million of table 6. Raises ValueError for arguments that give no network.
    """

    def __init__(self, in_channels: int = 3, classes: int = 10) -> None:
        super().__init__()
        check_counts("resnet20", {"in_channels": (in_channels, 1), "classes": (classes, 2)})
        widths = [16] * 4 + [32] * 3 + [64] * 3
        blocks = [_Block(before, after, 1 if before == after else 2) for before, after in pairwise(widths)]
        self.stem = nn.Sequential(nn.Conv2d(in_channels, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.blocks(self.stem(images)).mean(dim=(2, 3)))


class _Block(nn.Module):
    """Two convolutions whose output is added to their input, at half the resolution if the filters double."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )
        self._stride, self._new = stride, after - before

    def forward(self, images: Tensor) -> Tensor:
        shortcut = images[:, :, :: self._stride, :: self._stride]
        return F.relu(self.layers(images) + F.pad(shortcut, (0, 0, 0, 0, 0, self._new)))
