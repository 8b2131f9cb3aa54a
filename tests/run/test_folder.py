"""Identity, names and files of runs."""

import csv
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lr_lab.errors import UserError
from lr_lab.run.folder import (
    HISTORY_COLUMNS,
    RunFolder,
    collect_results,
    config_hash,
    flat_configuration,
    run_path,
    write_results,
    write_text,
)

Configure = Callable[..., dict[str, Any]]

numbers = st.floats(allow_nan=False) | st.just(math.nan)


@pytest.mark.parametrize(
    "override",
    [
        *("lr=0.02", "epochs=4", "batch_size=32", "seed=1", "data.limit=128", "data.split_seed=1", "model.dropout=0.1"),
        *("optimizer.weight_decay=0.1", "optimizer=adam", "sequence=cyclic", "strategy=cutoff"),
        *("augment=crop", "warmup=linear", "trainer.precision=bf16-mixed", "+trainer.deterministic=true"),
        *("label_smoothing=0.1", "gradient_clip=1", "decay_norms_and_biases=false", "ema=0.9"),
    ],
)
def test_what_shapes_the_result_names_another_folder(run_config: Configure, override: str) -> None:
    assert run_path(run_config(override)) != run_path(run_config())


def test_where_and_what_for_do_not(run_config: Configure) -> None:
    same = run_config("trainer.accelerator=auto", "data=mnist", "model=mnist_cnn", "data.root=/here")
    other = run_config(
        *("study=other", "output_dir=elsewhere", "data=mnist", "model=mnist_cnn", "data.root=/there"),
        *("data.block_size=3", "+trainer.profiler=simple", "analysis.convergence_tolerance=0.05"),
    )
    assert config_hash(same) == config_hash(other)
    assert run_path(other).parent == Path("elsewhere/other")


_LATER = {
    "augment": {},
    "label_smoothing": 0.0,
    "gradient_clip": None,
    "decay_norms_and_biases": True,
    "ema": None,
}


def test_a_key_that_came_later_leaves_earlier_runs_their_names_while_it_is_off(run_config: Configure) -> None:
    config = run_config("augment=none")
    later = {key: config.pop(key) for key in _LATER}
    assert later == _LATER
    assert config_hash(config) == config_hash(run_config()) == config_hash(run_config("label_smoothing=0"))
    assert flat_configuration(config) == flat_configuration(run_config())
    assert flat_configuration(run_config("ema=0.5"))["ema"] == 0.5


def test_the_name_says_what_a_person_looks_for(run_config: Configure) -> None:
    name = run_path(run_config("lr=1e-3", "strategy=cutoff", "sequence=seq4", "seed=2")).name
    assert name.startswith("digits-mnist_cnn-sgd-lr0.001-cyclic-cutoff-seed2-")


def test_aliases_and_spellings_of_a_number_find_the_same_folder(run_config: Configure) -> None:
    assert run_path(run_config("sequence=seq3")) == run_path(run_config("sequence=exponential"))
    assert run_path(run_config("lr=1")) == run_path(run_config("lr=1.0"))
    assert run_path(run_config("optimizer.momentum=0")) == run_path(run_config("optimizer.momentum=0.0"))


def test_what_a_killed_process_was_writing_goes(run_config: Configure, tmp_path: Path) -> None:
    leftovers = [tmp_path / ".history.csv.123", tmp_path / "checkpoints" / ".last.ckpt.123"]
    leftovers[1].parent.mkdir()
    for leftover in leftovers:
        leftover.touch()
    with RunFolder(tmp_path).training(run_config(), blank={}):
        assert not any(leftover.exists() for leftover in leftovers)


@given(st.lists(st.tuples(numbers, numbers, numbers | st.none()), min_size=1, max_size=5))
def test_numbers_read_back_exactly(tmp_path_factory: pytest.TempPathFactory, values: list[tuple[Any, ...]]) -> None:
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    rows = [
        {"epoch": epoch, "lr": lr, "train_loss": loss, "val_accuracy": accuracy, "sharpness": loss}
        for epoch, (lr, loss, accuracy) in enumerate(values)
    ]
    folder.write_history(rows)
    for written, read in zip(rows, folder.history(), strict=True):
        assert list(read) == [*HISTORY_COLUMNS, "sharpness"]
        for column, value in written.items():
            assert repr(read[column]) == repr(value)


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_text(file, "before")
    with pytest.raises(UnicodeEncodeError):
        write_text(file, "after\ud800")
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_that_cannot_be_written_is_one_sentence() -> None:
    with pytest.raises(UserError, match=r"/proc/nowhere/file cannot be written \(.*\); free the disk or choose"):
        write_text(Path("/proc/nowhere/file"), "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_sentence_and_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_text(file, "before")
    (tmp_path / f".file.{os.getpid()}").symlink_to("/dev/full")  # where the text is written aside
    with pytest.raises(UserError, match="No space left on device"):
        write_text(file, "after")
    assert file.read_text() == "before"


@pytest.mark.parametrize("text", ["epoch,lr\n0,0.1\n1", "epoch,lr\n0,abc\n"])
def test_a_damaged_history_is_named(tmp_path: Path, text: str) -> None:
    folder = RunFolder(tmp_path)
    folder.history_file.write_text(text)
    with pytest.raises(UserError, match=r"history.csv is damaged; delete .* to train that run anew\."):
        folder.history()


@pytest.mark.parametrize("share", [0, 0.5, 0.9, 0.999])
def test_a_history_that_was_cut_short_is_named(tmp_path: Path, share: float) -> None:
    folder = RunFolder(tmp_path)
    folder.write_history([{"epoch": epoch, "lr": 0.1, "seconds": 0.25} for epoch in range(10)])
    folder.write_result({"status": "completed", "epochs_run": 10})
    assert len(folder.history()) == 10
    text = folder.history_file.read_text()
    folder.history_file.write_text(text[: int(share * len(text))])
    with pytest.raises(UserError, match=r"history.csv is damaged"):
        folder.history()


def test_a_run_that_nobody_trains_was_stopped(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with folder.locked():
        folder.write_result({"status": "running", "epochs_run": 1})
        assert folder.result() == {"status": "running", "epochs_run": 1}
        folder.note_stop()
        assert '"running"' in folder.result_file.read_text()
    assert folder.result() == {"status": "stopped", "epochs_run": 1}
    assert collect_results(tmp_path) == []
    folder.config_file.touch()
    assert [result["status"] for result in collect_results(tmp_path)] == ["stopped"]
    assert '"running"' in folder.result_file.read_text()
    folder.note_stop()
    assert '"stopped"' in folder.result_file.read_text()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_run_that_is_told_to_stop_says_so(run_config: Configure, stop: type[BaseException]) -> None:
    config = run_config()
    folder = RunFolder(run_path(config))
    with pytest.raises(stop), folder.training(config, {"status": "running", "epochs_run": 0}):
        raise stop
    assert '"stopped"' in folder.result_file.read_text()


@pytest.mark.parametrize("share", [0, 0.1, 0.5])
def test_a_configuration_that_was_cut_short_is_named(run_config: Configure, share: float) -> None:
    config = run_config()
    folder = RunFolder(run_path(config))
    text = yaml.safe_dump(config, sort_keys=False)
    write_text(folder.config_file, text)
    assert folder.config() == config
    write_text(folder.config_file, text[: int(share * len(text))])
    with pytest.raises(UserError, match=r"config.yaml cannot be read"):
        folder.config()


@pytest.mark.parametrize("text", [None, "lr: ["])
def test_a_damaged_configuration_is_named(tmp_path: Path, text: str | None) -> None:
    folder = RunFolder(tmp_path)
    if text:
        folder.config_file.write_text(text)
    with pytest.raises(UserError, match=r"config.yaml cannot be read; delete .* to train that run anew\."):
        folder.config()


def test_results_csv_has_a_row_per_run_and_the_scalar_columns(tmp_path: Path) -> None:
    for name, result in {
        "a": {"status": "completed", "lr": 0.1, "versions": {"torch": "2"}},
        "b": {"status": "failed", "lr": 0.01, "error": "why"},
        "c": None,
    }.items():
        write_text(tmp_path / name / "config.yaml", "{}")
        if result:
            RunFolder(tmp_path / name).write_result(result)
    assert [result["run"] for result in collect_results(tmp_path)] == ["a", "b"]
    with write_results(tmp_path).open(newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"run": "a", "status": "completed", "lr": "0.1"},
            {"run": "b", "status": "failed", "lr": "0.01"},
        ]


def test_results_say_in_what_the_configurations_differ(run_config: Callable[..., dict[str, Any]]) -> None:
    for dropout in (0.0, 0.5):
        config = run_config(f"model.dropout={dropout}", "model.width=0.5")
        folder = RunFolder(run_path(config))
        folder.path.mkdir(parents=True)
        folder.config_file.write_text(yaml.safe_dump(config))
        folder.write_result({"status": "completed", "lr": config["lr"], "config_hash": config_hash(config)})
    rows = list(csv.DictReader(write_results(run_path(config).parent).open()))
    assert sorted(row["model.dropout"] for row in rows) == ["0.0", "0.5"]
    assert "model.width" not in rows[0]
