"""Each network against its document: parameters, shapes, initial values and the listed order of layers."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn

from lr_lab.models.cifar_cnn import CifarCNN
from lr_lab.models.fer_cnn import FerCNN
from lr_lab.models.mnist_cnn import MnistCNN
from lr_lab.models.plain_cnn import PlainCNN
from lr_lab.models.simple_cnn import SimpleCNN

CONF = Path(__file__).parents[2] / "conf" / "model"
NETWORKS = [MnistCNN, CifarCNN, SimpleCNN, FerCNN, PlainCNN]
# (C, H, W) that each takes by default
SHAPES: dict[Any, tuple[int, int, int]] = {
    MnistCNN: (1, 28, 28),
    CifarCNN: (3, 32, 32),
    SimpleCNN: (1, 28, 28),
    FerCNN: (1, 48, 48),
    PlainCNN: (3, 32, 32),
}
# name, (C, H, W), classes, trainable parameters
DOCUMENTS = [
    ("mnist_cnn", (1, 28, 28), 10, 434_258),
    ("cifar_cnn", (3, 32, 32), 10, 541_094),
    ("simple_cnn", (1, 28, 28), 10, 103_018),
    ("fer_cnn", (1, 48, 48), 7, 2_292_551),
]


def literal_mnist() -> nn.Module:
    return nn.Sequential(
        *[nn.Conv2d(1, 20, 3), nn.MaxPool2d(2), nn.ReLU()],
        *[nn.Flatten(), nn.Linear(3380, 128), nn.ReLU(), nn.Linear(128, 10)],
    )


def literal_cifar() -> nn.Module:
    return nn.Sequential(
        *[nn.Conv2d(3, 16, 3, padding=1), nn.ELU(), nn.MaxPool2d(2)],
        *[nn.Conv2d(16, 32, 3, padding=1), nn.ELU(), nn.MaxPool2d(2)],
        *[nn.Conv2d(32, 64, 3, padding=1), nn.ELU(), nn.MaxPool2d(2)],
        *[
            nn.Flatten(),
            nn.Dropout(0.25),
            nn.Linear(1024, 500),
            nn.ELU(),
            nn.Dropout(0.25),
            nn.Linear(500, 10),
        ],
    )


def literal_simple(dropout: float = 0.0) -> nn.Module:
    return nn.Sequential(
        *[nn.Conv2d(1, 8, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(2)],
        *[nn.Conv2d(8, 16, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(2)],
        *[nn.Flatten(), nn.Dropout(dropout), nn.Linear(784, 128), nn.ReLU()],
        *[nn.Dropout(dropout), nn.Linear(128, 10)],
    )


def literal_fer(dropout: float = 0.0) -> nn.Module:
    return nn.Sequential(
        *[nn.Conv2d(1, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)],
        *[nn.Conv2d(64, 128, 3, padding=1), nn.BatchNorm2d(128), nn.ReLU()],
        *[nn.Conv2d(128, 256, 3, padding=1), nn.BatchNorm2d(256), nn.ReLU(), nn.MaxPool2d(2)],
        *[nn.Conv2d(256, 256, 3, padding=1), nn.BatchNorm2d(256), nn.ReLU()],
        *[nn.Conv2d(256, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)],
        *[nn.Flatten(), nn.Dropout(dropout), nn.Linear(2304, 512), nn.ReLU()],
        *[nn.Dropout(dropout), nn.Linear(512, 7)],
    )


@pytest.mark.parametrize(("name", "shape", "classes", "parameters"), DOCUMENTS)
def test_the_yaml_file_builds_the_network_of_the_document(
    name: str, shape: tuple[int, ...], classes: int, parameters: int
) -> None:
    data = {"channels": shape[0], "size": shape[-1], "classes": classes}
    network = instantiate(OmegaConf.create({"data": data, "model": OmegaConf.load(CONF / f"{name}.yaml")}).model)
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == parameters
    assert network(torch.randn(2, *shape)).shape == (2, classes)


@pytest.mark.parametrize(
    ("network", "literal"),
    [
        (MnistCNN, literal_mnist),
        (CifarCNN, literal_cifar),
        (SimpleCNN, literal_simple),
        (FerCNN, literal_fer),
        (partial(SimpleCNN, dropout=0.3), partial(literal_simple, 0.3)),
        (partial(FerCNN, dropout=0.3), partial(literal_fer, 0.3)),
    ],
)
def test_outputs_and_gradients_equal_those_of_the_documents_own_layer_order(
    network: Callable[..., Any], literal: Callable[..., nn.Module]
) -> None:
    torch.manual_seed(0)
    ours, twin = network().double(), literal().double()
    with torch.no_grad():
        for mine, theirs in zip(ours.parameters(), twin.parameters(), strict=True):
            # Away from the initial values: batch norm's weights take both signs.
            mine.add_(torch.randn_like(mine), alpha=0.1 if mine.ndim > 1 else 1.0)
            theirs.copy_(mine)
    images = torch.randn(4, *SHAPES[type(ours)], dtype=torch.float64)
    labels = torch.arange(4)
    logits = []
    for module in (ours, twin):
        torch.manual_seed(1)  # the same dropout masks
        logits.append(module(images))
        nn.functional.cross_entropy(logits[-1], labels).backward()
    torch.testing.assert_close(logits[0], logits[1])
    for mine, theirs in zip(ours.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)
    torch.testing.assert_close(ours.eval()(images), twin.eval()(images))  # batch norm's running statistics


def test_fer_cnn_starts_from_the_posted_initial_values() -> None:
    network = FerCNN(width=0.1)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert (len(norms), len(layers)) == (5, 7)
    assert all((m.weight == 1).all() and (m.bias == 0).all() for m in norms)
    assert all(m.bias is not None and (m.bias == 0).all() and m.weight.std() > 0 for m in layers)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_person_may_vary_channels_size_classes_and_width(network: Callable[..., Any]) -> None:
    narrow, wide = (network(in_channels=2, size=17, classes=4, width=width) for width in (0.25, 0.5))
    assert narrow(torch.randn(3, 2, 17, 17)).shape == wide(torch.randn(3, 2, 17, 17)).shape == (3, 4)
    for small, large in zip(narrow.modules(), wide.modules(), strict=True):
        if isinstance(small, nn.Conv2d):
            assert large.out_channels == 2 * small.out_channels
    assert network(in_channels=1, size=8, width=1e-9)(torch.randn(2, 1, 8, 8)).shape[0] == 2


@pytest.mark.parametrize("network", NETWORKS)
def test_dropout_acts_in_training_only(network: Callable[..., Any]) -> None:
    net = network(width=0.5, dropout=0.5)
    images = torch.randn(4, *SHAPES[network])
    assert not torch.equal(net(images), net(images))
    net.eval()
    assert torch.equal(net(images), net(images))


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("in_channels", 0),
        ("in_channels", 1.5),
        ("size", 3),
        ("size", "abc"),
        ("classes", 1),
        ("classes", True),
        ("classes", None),
        ("width", 0),
        ("width", float("inf")),
        ("width", float("nan")),
        ("dropout", 1),
        ("dropout", -0.1),
        ("dropout", "much"),
    ],
)
def test_an_argument_that_gives_no_network_is_a_sentence_that_names_it(
    network: Callable[..., Any], argument: str, value: Any
) -> None:
    with pytest.raises(ValueError, match=f"_cnn needs {argument} to be .* not {value!r}"):
        network(**{argument: value})


@pytest.mark.parametrize(
    ("network", "smallest"), [(MnistCNN, 4), (CifarCNN, 8), (SimpleCNN, 4), (FerCNN, 8), (PlainCNN, 8)]
)
def test_the_smallest_image_is_one_that_every_pooling_leaves_a_pixel_of(
    network: Callable[..., Any], smallest: int
) -> None:
    channels = SHAPES[network][0]
    assert network(size=smallest, width=0.1)(torch.randn(2, channels, smallest, smallest)).isfinite().all()
    with pytest.raises(ValueError, match=f"size to be a whole number of at least {smallest}, not {smallest - 1}"):
        network(size=smallest - 1)
