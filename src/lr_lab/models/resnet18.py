"""The ResNet of 18 layers in the form that people use for CIFAR's small pictures."""

from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet

from lr_lab.models.arguments import check_counts


class ResNet18(ResNet):
    """torchvision's resnet18 with a 3x3 first convolution of stride 1 and without the first pooling.

    He et al. 2016, "Deep residual learning for image recognition", table 1, for pictures of 224 pixels; the original
    halves them twice before its first block, which would leave 8 of CIFAR's 32 pixels. (N, in_channels, size, size) ->
    (N, classes) logits; any size. 11,173,962 parameters by default. Raises ValueError for arguments that give no
    network.
    """

    def __init__(self, in_channels: int = 3, classes: int = 10) -> None:
        check_counts("resnet18", {"in_channels": (in_channels, 1), "classes": (classes, 2)})
        super().__init__(BasicBlock, [2, 2, 2, 2], num_classes=classes)
        self.conv1 = nn.Conv2d(in_channels, 64, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")  # as torchvision's others
        self.maxpool = nn.Identity()
