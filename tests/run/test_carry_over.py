"""Runs of earlier versions under today's names, on the runs that the repository keeps and on one made here."""

import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY

from lr_lab.errors import UserError
from lr_lab.run.carry_over import carried_config, carry_over_archive, carry_over_run, carry_over_study
from lr_lab.run.config import compose
from lr_lab.run.folder import RunFolder, config_hash, run_path

ARCHIVES = sorted((REPOSITORY / "outputs" / "reports").glob("*/runs.tar.gz"))


def _old(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration as the version of October 2026 would have written it."""
    old = {"Staircase": "src.schedule.sequences.Step", "EveryStep": "src.schedule.strategies.Step"}
    old |= {"MnistCNN": "src.models.mnist_cnn.MnistCNN", "Digits": "src.data.digits.Digits"}
    groups = {
        key: value | {"_target_": old[value["_target_"].rpartition(".")[2]]}
        for key in ("data", "model", "sequence", "strategy")
        if (value := config[key])
    }
    return {**config, **groups, "names": config["names"] | {"sequence": "step", "strategy": "step"}}


@pytest.fixture
def old_run(run_config: Callable[..., dict[str, Any]]) -> tuple[RunFolder, dict[str, Any]]:
    today = run_config("sequence=staircase", "strategy=every_step")
    old = _old(today)
    folder = RunFolder(run_path(old))
    folder.path.mkdir(parents=True)
    folder.config_file.write_text(yaml.safe_dump(old))
    folder.write_history([{"epoch": 0, "lr": 0.1, "train_loss": 2.0, "val_loss": 1.0}])
    result = {"status": "completed", "sequence": "step", "strategy": "step", "config_hash": "old", "lr": 0.1}
    folder.write_result(result)
    return folder, today


def test_a_run_gets_the_folder_that_its_configuration_asks_for_today(
    old_run: tuple[RunFolder, dict[str, Any]],
) -> None:
    folder, today = old_run
    assert folder.path.name != run_path(today).name
    assert carry_over_study(folder.path.parent) == (1, [])
    carried = RunFolder(run_path(today))
    assert not folder.path.exists()
    assert carried.config() == today
    result = carried.finished()
    assert result is not None
    assert (result["sequence"], result["strategy"]) == ("staircase", "every_step")
    assert result["config_hash"] == config_hash(today)
    assert result["lr"] == 0.1
    assert carried.history()[0]["train_loss"] == 2.0
    assert "staircase" in (folder.path.parent / "results.csv").read_text()
    assert carry_over_study(folder.path.parent) == (0, [])


def test_a_run_whose_name_is_taken_stays_as_it_is(old_run: tuple[RunFolder, dict[str, Any]]) -> None:
    folder, today = old_run
    run_path(today).mkdir()
    with pytest.raises(UserError, match=r"are the same run; delete the one that you do not need\."):
        carry_over_run(folder)
    assert folder.config()["strategy"]["_target_"] == "src.schedule.strategies.Step"


def test_an_archive_is_written_anew_and_then_stays(old_run: tuple[RunFolder, dict[str, Any]], tmp_path: Path) -> None:
    folder, today = old_run
    archive = tmp_path / "runs.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder.path.parent, folder.path.parent.name)
    assert carry_over_archive(archive) == (1, [])
    with tarfile.open(archive) as tar:
        assert f"{today['study']}/{run_path(today).name}/history.csv" in tar.getnames()
    before = archive.read_bytes()
    assert carry_over_archive(archive) == (0, [])
    assert archive.read_bytes() == before


def test_the_program_says_what_it_changed(old_run: tuple[RunFolder, dict[str, Any]]) -> None:
    folder, _ = old_run
    command = [sys.executable, "-m", "src.carry_over", str(folder.path.parents[1])]
    first, second = (subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True) for _ in range(2))
    assert "1 runs have new names" in first.stdout
    assert "0 runs have new names" in second.stdout
    assert (first.returncode, second.returncode) == (0, 0)


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda archive: archive.parent.name)
def test_every_kept_run_is_found_by_the_configuration_of_today(archive: Path) -> None:
    """Its choices are composed anew and given its values: a key that a later version adds must not move its folder."""
    composed: dict[tuple[str, ...], dict[str, Any]] = {}
    with tarfile.open(archive) as tar:
        files = {member.name: tar.extractfile(member) for member in tar if member.name.endswith("config.yaml")}
        configs = {name: yaml.load(file.read(), yaml.CSafeLoader) for name, file in files.items() if file}
    assert configs
    for name, kept in configs.items():
        assert kept == carried_config(kept)
        choices = _choices(kept)
        if choices not in composed:
            composed[choices] = compose(*choices)
        assert run_path(_with_values(composed[choices], kept)).name == Path(name).parent.name


def _choices(kept: Mapping[str, Any]) -> tuple[str, ...]:
    names = dict(kept["names"])
    sequence = names["sequence"].removeprefix("warmup-")
    chosen = [f"{group}={names[group]}" for group in ("data", "model", "optimizer", "strategy")]
    warmup = ["warmup=linear"] if kept["warmup"] else []
    probes = [f"probes=[{','.join(kept['probes'])}]"] if kept["probes"] else []
    return (*chosen, f"sequence={sequence}", *warmup, *probes)


def _with_values(composed: Mapping[str, Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    """The composed configuration with the values of a kept one, key by key."""
    return {
        key: _with_values(value, kept[key])
        if isinstance(value, dict) and isinstance(kept.get(key), dict)
        else kept.get(key, value)
        for key, value in composed.items()
    }
