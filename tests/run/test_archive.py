"""Runs that are packed and brought back, by the library, by the program and by make."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY
from synthetic_study import write_run

from lr_lab.errors import UserError
from lr_lab.run.archive import archive_of, keep, restore
from lr_lab.run.folder import RunFolder


@pytest.fixture
def runs(tmp_path: Path) -> list[RunFolder]:
    return [write_run(tmp_path, "mine", [0.5, 0.6], seed=seed) for seed in range(3)]


def test_what_is_kept_comes_back_without_checkpoints_and_logs(tmp_path: Path, runs: list[RunFolder]) -> None:
    runs[0].write_inputs({"code": "1"}, {"files": 0})
    left = [runs[0].log_file, runs[0].checkpoint_file, runs[0].path / "tensorboard" / "events", runs[0].path / ".lock"]
    for file in left:
        file.parent.mkdir(exist_ok=True)
        file.touch()
    kept = {file: file.read_bytes() for run in runs for file in run.path.iterdir() if file.suffix in (".json", ".csv")}
    archive, count = keep("mine", tmp_path)
    assert count == 3
    first = archive.read_bytes()
    assert keep("mine", tmp_path)[0].read_bytes() == first

    shutil.rmtree(tmp_path / "mine")
    assert restore("mine", tmp_path) == (archive, 3)
    assert {file: file.read_bytes() for file in kept} == kept
    assert not any(file.exists() for file in left)


def test_files_that_are_there_stay(tmp_path: Path, runs: list[RunFolder]) -> None:
    keep("mine", tmp_path)
    runs[0].write_result({"status": "newer"})
    shutil.rmtree(runs[1].path)
    assert restore("mine", tmp_path)[1] == 1
    assert (runs[0].result() or {})["status"] == "newer"


def test_fewer_runs_do_not_replace_more_unless_somebody_insists(tmp_path: Path, runs: list[RunFolder]) -> None:
    archive, _ = keep("mine", tmp_path)
    before = archive.read_bytes()
    runs[0].result_file.unlink()
    with pytest.raises(UserError, match=r"keeps 3 finished runs and .*mine has 2, so it stays.*FEWER=1"):
        keep("mine", tmp_path)
    assert archive.read_bytes() == before
    assert keep("mine", tmp_path, fewer=True) == (archive, 2)


@pytest.mark.parametrize("share", [0, 0.5])
def test_a_cut_archive_is_named_and_can_be_replaced(tmp_path: Path, runs: list[RunFolder], share: float) -> None:
    archive, _ = keep("mine", tmp_path)
    archive.write_bytes(archive.read_bytes()[: int(share * archive.stat().st_size)])
    with pytest.raises(UserError, match=r"runs\.tar\.gz cannot be unpacked"):
        restore("mine", tmp_path)
    assert keep("mine", tmp_path) == (archive, 3)


def test_nothing_to_keep_or_to_restore_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no runs to keep"):
        keep("mine", tmp_path)
    with pytest.raises(UserError, match=r"There is no .*runs\.tar\.gz"):
        restore("mine", tmp_path)
    assert not archive_of("mine", tmp_path).exists()


def test_the_program_keeps_and_restores(tmp_path: Path, runs: list[RunFolder]) -> None:
    def command(*arguments: str) -> tuple[int, str]:
        call = [sys.executable, "-m", "src.archive", *arguments, "--output-dir", str(tmp_path)]
        done = subprocess.run(call, cwd=REPOSITORY, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    assert command("keep", "mine") == (0, f"{archive_of('mine', tmp_path)} keeps 3 finished runs.\n")
    shutil.rmtree(runs[0].path)
    code, said = command("keep", "mine")
    assert code == 2
    assert said.startswith("error: ")
    assert command("restore", "mine")[1].endswith(f"brought 1 runs back to {tmp_path / 'mine'}.\n")


@pytest.mark.parametrize("target", ["report", "keep", "restore"])
def test_make_asks_for_the_study(target: str) -> None:
    call = ["make", target, "--assume-old=setup", "--assume-old=.venv/installed"]
    done = subprocess.run(call, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"Name the study: make {target} STUDY=decay_mnist\n" in done.stdout
