"""conf/data: every file names a dataset and arguments that it takes."""

from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from lr_lab.data.in_memory import InMemoryDataModule
from lr_lab.run.config import CONFIG_DIR

FILES = sorted((CONFIG_DIR / "data").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_config_instantiates_without_reading_anything(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("cats", "dogs"):
        (tmp_path / "data" / "folder" / name).mkdir(parents=True)
    data = instantiate(OmegaConf.load(file), batch_size=8, seed=0)
    assert isinstance(data, InMemoryDataModule)
    assert data.classes is None or data.classes >= 2
    assert all(isinstance(size, int) for size in data.input_shape)
    assert not list((tmp_path / "data").glob(".decoded"))
