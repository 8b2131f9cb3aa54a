"""The residual networks against twins put together from torchvision's blocks."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock, resnet18

from lr_lab.models.resnet18 import ResNet18
from lr_lab.models.resnet20 import ResNet20


class OptionA(nn.Module):
    """He et al. 2016: "the shortcut still performs identity mapping, with extra zero entries padded"."""

    def forward(self, images: Tensor) -> Tensor:
        half = F.avg_pool2d(images, 1, stride=2)
        return torch.cat((half, torch.zeros_like(half)), dim=1)


def twin_of_resnet20() -> nn.Sequential:
    blocks = [
        BasicBlock(16 * before, 16 * after, after // before, OptionA() if after > before else None)
        for before, after in [(1, 1), (1, 1), (1, 1), (1, 2), (2, 2), (2, 2), (2, 4), (4, 4), (4, 4)]
    ]
    stem = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def twin_of_resnet18() -> nn.Module:
    twin = resnet18(num_classes=10)
    twin.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    twin.maxpool = nn.MaxPool2d(1)
    return twin


@pytest.mark.parametrize(
    ("network", "twin", "parameters"),
    [(ResNet20, twin_of_resnet20, 269_722), (ResNet18, twin_of_resnet18, 11_173_962)],
)
def test_outputs_and_gradients_are_those_of_a_twin(network: Any, twin: Any, parameters: int) -> None:
    torch.manual_seed(0)
    ours, theirs = network(), twin()
    assert sum(weight.numel() for weight in ours.parameters()) == parameters
    with torch.no_grad():
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            other.copy_(mine)
    images, labels = torch.randn(4, 3, 16, 16), torch.arange(4)
    logits = [net(images) for net in (ours, theirs)]
    torch.testing.assert_close(logits[0], logits[1], rtol=1e-3, atol=1e-4)
    for output in logits:
        F.cross_entropy(output, labels).backward()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("network", [ResNet20, ResNet18])
def test_channels_size_and_classes_may_vary(network: Any) -> None:
    assert network(in_channels=1, classes=3)(torch.randn(2, 1, 28, 28)).shape == (2, 3)
    for argument, value in (("in_channels", 0), ("classes", 1), ("classes", "many")):
        with pytest.raises(ValueError, match=f"needs {argument} to be a whole number of at least .*, not {value!r}"):
            network(**{argument: value})


def test_every_convolution_starts_at_the_scale_of_he_et_al_2015() -> None:
    torch.manual_seed(0)
    for module in ResNet20().modules():
        if isinstance(module, nn.Conv2d):
            deviation = (2 / (9 * module.in_channels)) ** 0.5
            assert module.weight.std().item() == pytest.approx(deviation, rel=0.1)
