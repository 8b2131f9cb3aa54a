"""Digests of a run's inputs, with real runs of one epoch on digits or on a folder of pictures."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lr_lab.data.in_memory import InMemoryDataModule
from lr_lab.run.folder import RunFolder, run_path
from lr_lab.run.inputs import Today
from lr_lab.run.training import train

Config = dict[str, Any]
RunConfig = Callable[..., Config]

HALVING = """
from dataclasses import dataclass
from lr_lab.schedule.sequences import FormulaSequence

@dataclass(frozen=True)
class Halving(FormulaSequence):
    name = "halving"

    def __call__(self, n: int) -> float:
        return self.lr / 2**n
"""


def trained(config: Config) -> RunFolder:
    train(config)
    return RunFolder(run_path(config))


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's module with a sequence, which can be imported."""
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / f"{tmp_path.name}_mine.py"
    file.write_text(HALVING)
    return file


def of_own_code(run_config: RunConfig, file: Path) -> Config:
    return run_config("epochs=1", "data.limit=64", f"sequence._target_={file.stem}.Halving")


def test_an_edited_formula_is_noticed_and_an_edited_comment_is_not(run_config: RunConfig, own_code: Path) -> None:
    config = of_own_code(run_config, own_code)
    folder = trained(config)
    assert Today().changes(folder, config) == []
    own_code.write_text(HALVING.replace("2**n", "2**n  # halves"))
    assert Today().changes(folder, config) == []
    own_code.write_text(HALVING.replace("2**n", "3**n"))
    assert Today().changes(folder, config) == [f"the code of {own_code.stem}.Halving"]


def test_code_of_ours_is_recorded_with_its_bases(run_config: RunConfig) -> None:
    folder = trained(run_config("epochs=1", "data.limit=64", "probes=[gradient_norm]"))
    inputs = folder.inputs()
    assert inputs is not None
    names = {name.rpartition(".")[2] for name in inputs["code"]}
    assert names >= {"Digits", "InMemoryDataModule", "MnistCNN", "Inverse", "Sequence", "Epoch", "Position"}
    assert names >= {"Classification", "BlockModule", "GradientNorm", "Probe"}
    assert not names & {"Regression", "LightningModule", "SGD"}


def test_a_class_that_moved_to_another_file_has_not_changed(run_config: RunConfig, own_code: Path) -> None:
    config = of_own_code(run_config, own_code)
    folder = trained(config)
    moved = own_code.with_name(f"{own_code.stem}_moved.py")
    inputs = folder.inputs()
    assert inputs is not None
    shutil.copy(own_code, moved)
    code = {name.replace(own_code.stem, moved.stem): digest for name, digest in inputs["code"].items()}
    folder.write_inputs(code, inputs["data"])
    moved.unlink()  # the configuration leads to where the class is now
    assert Today().changes(folder, config) == []


def test_code_that_is_not_here_has_not_changed(run_config: RunConfig, own_code: Path) -> None:
    config = of_own_code(run_config, own_code)
    folder = trained(config)
    own_code.unlink()
    del sys.modules[own_code.stem]
    assert Today().changes(folder, config) == []


def test_a_run_that_recorded_nothing_says_so(run_config: RunConfig) -> None:
    config = run_config("epochs=1", "data.limit=64")
    folder = trained(config)
    for content in (None, "", '{"code": {}'):
        folder.inputs_file.unlink()
        if content is not None:
            folder.inputs_file.write_text(content)
        assert Today().changes(folder, config) is None
        folder.inputs_file.touch()


def test_a_run_that_goes_on_keeps_the_code_that_it_began_with(run_config: RunConfig) -> None:
    config = run_config("epochs=1", "data.limit=64")
    folder = trained(config)
    folder.write_inputs({"old": "0"}, {"files": 0, "digest": ""})
    folder.result_file.unlink()
    train(config)
    assert (folder.inputs() or {})["code"] == {"old": "0"}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with two classes of eight pictures."""
    chance = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (tmp_path / "data" / "pets" / name).mkdir(parents=True)
        for number in range(8):
            pixels = chance.integers(0, 256, (28, 28), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / "pets" / name / f"{number}.png")
    return tmp_path / "data" / "pets"


def of_pictures(run_config: RunConfig, pictures: Path) -> Config:
    shape = ("data.size=28", "data.channels=1", "model.classes=2", "batch_size=4")
    return run_config("epochs=1", "data=folder", "data.limit=null", f"data.images={pictures}", *shape)


def test_touched_files_are_read_once_and_have_not_changed(run_config: RunConfig, pictures: Path) -> None:
    config = of_pictures(run_config, pictures)
    folder = trained(config)
    before = folder.inputs()
    os.utime(pictures / "cats" / "0.png")
    assert Today().changes(folder, config) == []
    after = folder.inputs()
    assert before is not None
    assert after is not None
    assert after["code"] == before["code"]
    assert after["data"] != before["data"]


def test_another_picture_is_noticed_and_a_missing_folder_is_not(run_config: RunConfig, pictures: Path) -> None:
    config = of_pictures(run_config, pictures)
    folder = trained(config)
    shutil.copy(pictures / "cats" / "1.png", pictures / "cats" / "0.png")
    assert Today().changes(folder, config) == ["the files of its data"]
    pictures.rename(pictures.with_name("away"))
    assert Today().changes(folder, config) == []


def test_a_file_that_cannot_be_read_any_more_is_a_change(run_config: RunConfig, pictures: Path) -> None:
    config = of_pictures(run_config, pictures)
    folder = trained(config)
    file = pictures / "cats" / "0.png"
    file.write_bytes(file.read_bytes()[:60])
    assert Today().changes(folder, config) == ["the files of its data"]


def test_many_runs_cost_one_look_at_their_data(
    run_config: RunConfig, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = of_pictures(run_config, pictures)
    folder = trained(config)
    looks: list[str] = []
    fingerprint = InMemoryDataModule.inputs_fingerprint

    def counted(data: InMemoryDataModule) -> str:
        looks.append(fingerprint(data))
        return looks[-1]

    monkeypatch.setattr(InMemoryDataModule, "inputs_fingerprint", counted)
    monkeypatch.setattr(InMemoryDataModule, "setup", lambda self: pytest.fail("it reads the data"))
    today = Today()
    for seed in range(140):
        assert today.changes(folder, config | {"seed": seed}) == []
    assert len(looks) == 1
