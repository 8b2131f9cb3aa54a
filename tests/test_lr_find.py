"""The range test on a real network: its losses are those of training, and what it prints can be run."""

import csv
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import REPOSITORY

from lr_lab.errors import UserError
from lr_lab.run import lr_find as module
from lr_lab.run.config import compose
from lr_lab.run.folder import RunFolder, run_path
from lr_lab.run.lr_find import losses_at, range_test, training_command
from lr_lab.run.range_reading import kept_reading, result_folder
from lr_lab.run.training import train

Configure = Callable[..., dict[str, Any]]

SETTINGS = {"lr_min": 1e-4, "lr_max": 10.0, "steps": 100, "repeats": 2, "blow_up": 4.0}


@pytest.fixture
def range_config(run_config: Configure) -> Configure:
    """A function of overrides: the configuration of a short range test, of which `changes` are made."""

    def configuration(*overrides: str, **changes: Any) -> dict[str, Any]:
        return run_config("model.width=0.5", *overrides) | {"lr_find": SETTINGS | changes}

    return configuration


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_at_one_rate_it_is_training(range_config: Configure, precision: str) -> None:
    choices = ("sequence=constant", "optimizer=momentum", "model.dropout=0.3", f"trainer.precision={precision}")
    extras = ("label_smoothing=0.1", "gradient_clip=1")
    config = range_config(*choices, *extras, "lr=0.02", "batch_size=20")
    train(config)
    steps = 13  # of 256 samples: twelve batches of 20 and one of 16
    losses = losses_at(np.full(3 * steps, 0.02), config).reshape(3, steps)
    means = np.average(losses, axis=1, weights=[20] * 12 + [16])
    history = RunFolder(run_path(config)).history()
    assert means.tolist() == pytest.approx([row["train_loss"] for row in history], rel=1e-6)


def test_it_ends_where_the_loss_blows_up(range_config: Configure) -> None:
    rates = np.geomspace(1e-2, 1e6, 100)
    losses = losses_at(rates, range_config())
    assert len(losses) < len(rates)
    assert np.isfinite(losses[:-1]).all()


def test_from_the_command_line(tmp_path: Path) -> None:
    asked = ["optimizer=momentum", "lr=5", "data.limit=256", "model.width=0.5", f"output_dir={tmp_path}"]
    settings = [f"lr_find.{key}={value}" for key, value in SETTINGS.items()]
    command = [sys.executable, "-m", "src.lr_find", *asked, *settings, "trainer.accelerator=cpu"]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=250)
    assert answer.returncode == 0, answer.stderr
    *_, last = answer.stdout.splitlines()
    words = shlex.split(last.removeprefix("Train with it: "))
    assert words[:3] == ["python", "-m", "src.train"]
    config = compose(*words[3:])
    assert (config["data"]["limit"], config["optimizer"]["momentum"]) == (256, 0.9)
    assert 1e-4 < config["lr"] < 1
    assert "sharpness" in answer.stdout
    folder = result_folder(config)
    assert folder.parent == tmp_path / "range_tests"
    assert folder.name.startswith("digits-mnist_cnn-momentum-seed0-")
    assert folder != result_folder(config | {"batch_size": 32})
    with (folder / "losses.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["lr", "loss_seed0", "loss_seed1"]
    assert [float(row["lr"]) for row in rows] == pytest.approx(np.geomspace(1e-4, 10, 100)[: len(rows)].tolist())
    assert rows[0]["loss_seed0"] != rows[0]["loss_seed1"]
    assert (folder / "range_test.png").stat().st_size > 1000


def test_the_limit_at_the_start_is_that_of_the_sharpness_there(range_config: Configure) -> None:
    sentences = range_test(range_config(repeats=1)).sentences
    found = re.search(r"sharpness is ([\d.]+), .* up to the rate ([\d.]+);", " ".join(sentences))
    assert found
    assert float(found[1]) * float(found[2]) == pytest.approx(2, rel=0.1)


def test_where_no_rate_helps_the_losses_are_there_to_look_at(range_config: Configure) -> None:
    """The figure of a test before would show others."""
    config = range_config(lr_min=1e-12, lr_max=1e-11)
    folder = result_folder(config)
    folder.mkdir(parents=True)
    (folder / "range_test.png").touch()
    with pytest.raises(UserError, match="never fell"):
        range_test(config)
    assert [file.name for file in folder.iterdir()] == ["losses.csv"]
    assert len((folder / "losses.csv").read_text().splitlines()) == 101


def test_losses_are_kept_as_far_as_any_network_came(range_config: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    falling = np.linspace(2.3, 0.1, 100)
    monkeypatch.setattr(module, "losses_at", lambda rates, config: falling[: 90 + config["seed"]])
    config = range_config()
    reading = range_test(config).reading
    with (result_folder(config) / "losses.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert (rows[90]["loss_seed0"], float(rows[90]["loss_seed1"])) == ("", pytest.approx(falling[90]))
    assert (rows[91]["loss_seed0"], rows[91]["loss_seed1"], len(rows)) == ("", "", 100)
    kept = kept_reading(config)
    assert kept is not None
    assert kept.rose  # the networks blew up after as many steps, or one more: the cut says so
    assert (kept.rates.tolist(), kept.losses.tolist()) == (reading.rates.tolist(), reading.losses.tolist())
    assert kept[2:] == reading[2:]


def test_no_test_and_a_damaged_one_say_nothing(range_config: Configure) -> None:
    config = range_config()
    assert kept_reading(config) is None
    folder = result_folder(config)
    folder.mkdir(parents=True)
    for text in ("", "lr,loss_seed0\n", "lr,loss_seed0\n0.1,2.3\n0.2,", "lr,loss_seed0\n0.1,what\n"):
        (folder / "losses.csv").write_text(text)
        assert kept_reading(config) is None


def test_adam_has_no_limit_before_it_starts(range_config: Configure) -> None:
    test = range_test(range_config("optimizer=adam", lr_min=1e-6, repeats=1))
    assert 1e-5 < test.suggested < 0.1
    assert "sharpness" not in " ".join(test.sentences)


def test_the_command_repeats_what_was_tested() -> None:
    overrides = ["data=mnist", "lr=0.3", "lr_find.steps=500", "+lr_find.x=1", "data.root=a folder"]
    assert training_command(0.04567, overrides) == "python -m src.train data=mnist 'data.root=a folder' lr=0.046"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"lr_min": 0.0}, "lr_min=0.0 .* above 0"),
        ({"lr_min": 1.0, "lr_max": 0.1}, "0 < lr_min < lr_max"),
        ({"steps": 50}, "steps=50 .* at least 100"),
        ({"repeats": 0}, "repeats=0 .* at least 1"),
        ({"repeats": True}, "repeats=true .* at least 1"),
        ({"lr_max": True}, "lr_max=true .* above 0"),
        ({"blow_up": 1.0}, "above 1"),
        ({"stepz": 500}, "nothing else; look at stepz"),
    ],
)
def test_settings_that_allow_no_test(range_config: Configure, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        range_test(range_config(**settings))


@pytest.mark.parametrize("left_out", ["lr_find", "lr_min"])
def test_settings_that_are_left_out(range_config: Configure, left_out: str) -> None:
    config = range_config()
    if left_out == "lr_find":
        del config["lr_find"]
    else:
        del config["lr_find"][left_out]
    with pytest.raises(UserError, match=r"^lr_find.*"):
        range_test(config)
