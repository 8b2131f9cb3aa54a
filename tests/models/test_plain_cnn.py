"""The network of free depth, batch norm and start, against the layers it is said to be made of."""

from math import sqrt
from typing import Any

import pytest
import torch
from torch import nn

from lr_lab.models.plain_cnn import PlainCNN


def literal(batch_norm: bool) -> nn.Module:
    def layer(before: int, after: int, *pooling: nn.Module) -> list[nn.Module]:
        norm = [nn.BatchNorm2d(after)] if batch_norm else []
        return [nn.Conv2d(before, after, 3, padding=1), *norm, nn.ReLU(), *pooling]

    return nn.Sequential(
        *[*layer(3, 8, nn.MaxPool2d(2)), *layer(8, 16, nn.MaxPool2d(2)), *layer(16, 16, nn.MaxPool2d(2))],
        *layer(16, 16),
        *[nn.Flatten(), nn.Linear(16 * 4 * 4, 64), nn.ReLU(), nn.Linear(64, 10)],
    )


@pytest.mark.parametrize("batch_norm", [False, True])
def test_four_convolutions_at_half_the_width_are_those_layers(batch_norm: bool) -> None:
    torch.manual_seed(0)
    net, twin = PlainCNN(width=0.5, depth=4, batch_norm=batch_norm).double(), literal(batch_norm).double()
    with torch.no_grad():
        for mine, theirs in zip(net.parameters(), twin.parameters(), strict=True):
            theirs.copy_(mine)
    images = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(net(images), twin(images))


@pytest.mark.parametrize("depth", [1, 2, 3, 8])
def test_any_depth_down_to_the_smallest_image_that_its_poolings_leave_a_pixel_of(depth: int) -> None:
    smallest = 2 ** min(depth, 3)
    net = PlainCNN(depth=depth, size=smallest, width=0.1)
    assert sum(isinstance(part, nn.Conv2d) for part in net.modules()) == depth
    assert net(torch.randn(2, 3, smallest, smallest)).shape == (2, 10)
    with pytest.raises(ValueError, match=f"size to be a whole number of at least {smallest}, not {smallest - 1}"):
        PlainCNN(depth=depth, size=smallest - 1)


@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_weights_start_as_he_et_al_have_them_times_the_gain(gain: float) -> None:
    torch.manual_seed(0)
    layers = [m for m in PlainCNN(width=4, gain=gain).modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for layer in layers:
        expected = gain * sqrt((1 if layer is layers[-1] else 2) / layer.weight[0].numel())
        assert layer.weight.std().item() == pytest.approx(expected, rel=0.05)


def test_pytorchs_own_start_has_the_deviation_of_a_gain_of_0_41() -> None:
    torch.manual_seed(0)
    first = PlainCNN(width=4, gain=1 / sqrt(6)).features[0]
    assert isinstance(first, nn.Conv2d)
    ours = first.weight.std().item()
    assert nn.Conv2d(3, 2000, 3).weight.std().item() == pytest.approx(ours, rel=0.05)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_far_below_zero_nothing_but_the_last_bias_has_a_gradient(batch_norm: bool) -> None:
    torch.manual_seed(0)
    net = PlainCNN(width=0.5, batch_norm=batch_norm, bias=-10)
    nn.functional.cross_entropy(net(torch.randn(8, 3, 32, 32)), torch.arange(8)).backward()
    moved = [name for name, p in net.named_parameters() if p.grad is not None and p.grad.norm() > 0]
    assert moved == ["classifier.5.bias"]


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("depth", 0),
        ("depth", 2.5),
        ("depth", True),
        ("batch_norm", 1),
        ("batch_norm", "yes"),
        ("gain", 0),
        ("gain", float("inf")),
        ("gain", "large"),
        ("bias", float("nan")),
        ("bias", float("-inf")),
        ("bias", None),
    ],
)
def test_an_argument_that_gives_no_network_is_a_sentence_that_names_it(argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"plain_cnn needs {argument} to be .* not {value!r}"):
        PlainCNN(**{argument: value})
