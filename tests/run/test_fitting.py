"""The numbers of the data are known before they are read, and equal those of their classes."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

from lr_lab.data.in_memory import InMemoryDataModule
from lr_lab.errors import UserError
from lr_lab.run import parts
from lr_lab.run.config import CONFIG_DIR, compose
from lr_lab.run.fitting import facts, facts_of


class Mine(InMemoryDataModule):
    """A dataset that the project does not know."""

    input_shape = (2, 9, 9)
    classes = 4


DATA = sorted(file.stem for file in (CONFIG_DIR / "data").glob("*.yaml"))


@pytest.fixture
def photos(tmp_path: Path) -> str:
    for name in ("cats", "dogs", "birds"):
        (tmp_path / "photos" / "train" / name).mkdir(parents=True)
    return f"data.images={tmp_path / 'photos'}"


@pytest.mark.parametrize("name", DATA)
def test_a_datasets_facts_are_those_of_its_class(name: str, photos: str) -> None:
    config = compose(f"data={name}", "model=linear", *([photos] if name == "folder" else []))
    assert facts(config["data"]) == facts_of(parts.build_data(config))


def test_classes_of_a_folder_are_counted(photos: str, tmp_path: Path) -> None:
    config = compose("data=folder", photos, "model=simple_cnn", "data.channels=1", "data.size=20")
    assert [config["model"][key] for key in ("in_channels", "size", "classes")] == [1, 20, 3]
    assert "classes" not in config["data"]
    with pytest.raises(UserError, match=r"^data\.images=.*nowhere is not a folder; give the folder"):
        compose("data=folder", f"data.images={tmp_path / 'nowhere'}")


def test_a_dataset_of_ones_own_is_asked() -> None:
    config = compose(f"data._target_={__name__}.Mine", "model=resnet20")
    assert config["model"] == {"_target_": "lr_lab.models.ResNet20", "in_channels": 2, "classes": 4}


def test_choices_of_the_project_resolve_without_torch() -> None:
    program = (
        "import sys; from lr_lab.run.config import compose; compose('data=cifar10', 'model=resnet18');"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY).returncode == 0
