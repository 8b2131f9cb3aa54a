"""Any network fits by one override, or is refused in one sentence before anything is trained."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from lr_lab.curves.curve import Curve
from lr_lab.curves.readers.lab_run import classes_of
from lr_lab.errors import UserError
from lr_lab.run import parts
from lr_lab.run.config import compose
from lr_lab.run.folder import RunFolder, run_path
from lr_lab.run.inputs import parts_of
from lr_lab.run.training import train

IMAGES = ("data=random_images", "data.samples=24", "data.size=16", "data.classes=3", "data.channels=3")
HERE = __name__


class Net(nn.Module):
    """As tutorials write one: it reshapes with `view`."""

    def __init__(self, outputs: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))
        self.classifier = nn.Linear(4 * 8 * 8, outputs)

    def forward(self, images: Tensor) -> Any:
        return self.classifier(self.features(images).view(-1, 4 * 8 * 8))


class Lazy(nn.Sequential):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__(nn.LazyConv2d(4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(num_classes))


class Pair(Net):
    def forward(self, images: Tensor) -> Any:
        return super().forward(images), images


class PairInTraining(Net):
    def forward(self, images: Tensor) -> Any:
        logits = super().forward(images)
        return {"logits": logits} if self.training else logits


class Broken(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        raise KeyError("images")


def make(**arguments: Any) -> nn.Module:
    return Lazy(**arguments)


def built(*overrides: str) -> nn.Module:
    config = compose(*overrides)
    return parts.build_network(config, parts.build_data(config))


@pytest.mark.parametrize(
    ("target", "filled"),
    [
        ("torchvision.models.mobilenet_v3_small", {"num_classes": 3}),
        ("torchvision.models.resnet18", {"num_classes": 3}),
        ("lr_lab.models.SimpleCNN", {"in_channels": 3, "size": 16, "classes": 3}),
        ("lr_lab.models.ResNet20", {"in_channels": 3, "classes": 3}),
        (f"{HERE}.Lazy", {"num_classes": 3}),
        (f"{HERE}.make", {"num_classes": 3}),
        (f"{HERE}.Net", {}),
    ],
)
def test_a_network_is_chosen_by_its_path_alone(target: str, filled: Mapping[str, int]) -> None:
    config = compose(*IMAGES, f"model._target_={target}")
    assert config["model"] == {"_target_": target, **filled}
    assert config["names"]["model"] == target.rpartition(".")[2]
    assert classes_of(config) == 3
    net = parts.build_network(config, parts.build_data(config))
    assert net.training
    assert net(torch.randn(4, 3, 16, 16)).shape == (4, 3)


def test_arguments_that_a_person_gives_stay_and_none_needs_a_plus() -> None:
    config = compose(*IMAGES, "model._target_=torchvision.models.resnet18", "model.num_classes=7", "model.groups=1")
    assert config["model"] == {"_target_": "torchvision.models.resnet18", "num_classes": 7, "groups": 1}
    config = compose(*IMAGES, f"model._target_={HERE}.Net", "model.outputs=${data.classes}")
    assert config["model"]["outputs"] == 3


def test_a_function_that_takes_the_name_of_a_network_gives_the_run_that_name() -> None:
    config = compose(*IMAGES, "model._target_=torchvision.models.get_model",
                     "model.name=resnet18")  # fmt: skip
    assert config["model"] == {"_target_": "torchvision.models.get_model", "name": "resnet18", "num_classes": 3}
    assert config["names"]["model"] == "resnet18"


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            ["model._target_=torchvision.models.mobilenet_v3_small", "model.num_classes=1000"],
            "model=mobilenet_v3_small makes 2x1000 of two samples of data=random_images, 2x3x16x16, and training needs "
            "2x3 for 3 classes; give model.num_classes=3.",
        ),
        ([f"model._target_={HERE}.Net", "model.outputs=5"], "model=Net makes 2x5 .* training needs 2x3 for 3 classes"),
        ([f"model._target_={HERE}.Pair"], "model=Pair returns an object of type tuple, and training needs one tensor"),
        ([f"model._target_={HERE}.PairInTraining"], "model=PairInTraining returns an object of type dict"),
        ([f"model._target_={HERE}.Broken"], "does not take two samples .*2x3x16x16 .KeyError: 'images'.; choose"),
        ([f"model._target_={HERE}.Net", "data.size=8"], "2x3x8x8 .shape '.-1, 256.' is invalid for input of size 128"),
        ([f"model._target_={HERE}.Net", "data.channels=1"], "2x1x16x16 .*to have 3 channels, but got 1"),
        ([f"model._target_={HERE}.Net", "model.depth=2"], "model=Net cannot be built: .*argument 'depth'"),
        (["model._target_=collections.Counter"], "model=Counter makes an object of type Counter; name a class"),
        (
            ["model=mnist_cnn", "model.size=8"],
            "does not take two .*cannot be multiplied.*; give model.size=16.",
        ),
        (["model=mnist_cnn", "model.classes=5"], "model=mnist_cnn is set to 5 classes, but data=random_images has 3"),
        (["model=linear"], "model=linear does not take two samples"),
        (
            ["model._target_=nonesuch.Net"],
            "^model._target_=nonesuch.Net cannot be imported (nothing of",
        ),
        ([f"model._target_={HERE}.Nonesuch"], "cannot be imported"),
    ],
)
def test_a_network_that_does_not_fit_is_refused_in_one_sentence(overrides: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as refusal:
        built(*IMAGES, *overrides)
    assert re.search(sentence.replace("(", r"\("), str(refusal.value)), refusal.value
    assert "\n" not in str(refusal.value)


def test_a_network_for_pictures_is_refused_where_there_are_none() -> None:
    with pytest.raises(UserError, match=r"^model=mnist_cnn needs data with channels, size, classes, and"):
        built("data=line", "model=mnist_cnn")


def test_a_module_that_fails_when_it_is_imported_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "failing_nets.py").write_text("import nonesuch_package")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=r"failing_nets.Net cannot be imported \(.*nonesuch_package"):
        compose(*IMAGES, "model._target_=failing_nets.Net")


def test_the_trial_of_a_network_leaves_its_weights_buffers_and_the_random_numbers_alone() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    net = built(*IMAGES, "model=resnet20")
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, buffer in net.named_buffers():
        assert torch.equal(buffer, torch.ones_like(buffer) if name.endswith("var") else torch.zeros_like(buffer))
    again = built(*IMAGES, "model=resnet20")
    for one, same in zip(net.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, same)


def test_lazy_layers_get_the_weights_of_the_seed() -> None:
    one, same, other = (built(*IMAGES, f"model._target_={HERE}.Lazy", f"seed={seed}") for seed in (0, 0, 1))
    for first, second, third in zip(one.parameters(), same.parameters(), other.parameters(), strict=True):
        assert torch.equal(first, second)
        assert not torch.equal(first, third)


def test_a_network_that_reshapes_with_view_trains_and_its_run_knows_the_classes(tmp_path: Path) -> None:
    config = compose(*IMAGES, f"model._target_={HERE}.Net", "epochs=2", f"output_dir={tmp_path}", "batch_size=8",
                     "trainer.accelerator=cpu")  # fmt: skip
    result = train(config)
    assert result["epochs_run"] == 2
    folder = RunFolder(run_path(config))
    kept = yaml.safe_load(folder.config_file.read_text())
    assert kept == config
    assert "classes" not in kept["model"]
    assert classes_of(kept) == 3
    assert "lr_lab.modules.Classification" in parts_of(kept)
    assert Curve.of_history(folder.history(), classes_of(kept)).classes == 3


def test_noting_the_classes_beside_a_network_does_not_rename_its_run(
    run_config: Callable[..., dict[str, Any]],
) -> None:
    config = run_config(f"model._target_={HERE}.make")
    assert run_path(config) == run_path({key: value for key, value in config.items() if key != "classes"})
