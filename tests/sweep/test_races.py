"""Races of plain sweeps: which settings go on, when it ends, and what is refused. Runs end at once, as made up."""

from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_study import write_run

from lr_lab.errors import UserError
from lr_lab.sweep import races
from lr_lab.sweep.races import field, train_until_best

ACCURACY = {0.001: 0.3, 0.01: 0.9, 0.1: 0.88, 1.0: 0.2}


def run(output_dir: Path, lr: float, seed: int) -> None:
    noise = np.random.default_rng([seed, int(1000 * lr)]).normal(0, 0.002)
    write_run(output_dir, "first_look", [ACCURACY[lr] + noise] * 3, seed=seed, lr=lr)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sweep of four rates with one seed; what a race trains ends at once."""

    def train(configs: Sequence[Mapping[str, Any]], typed: Sequence[Sequence[str]]) -> None:
        for config in configs:
            run(tmp_path, config["lr"], config["seed"])

    monkeypatch.setattr(races, "train_configs", train)
    for lr in ACCURACY:
        run(tmp_path, lr, 0)
    return tmp_path / "first_look"


def test_a_race_finds_the_best_setting_and_spends_least_on_the_worst(folder: Path) -> None:
    said: list[str] = []
    train_until_best(folder, inf, 10, say=said.append)
    assert said[-1] == (
        "Best by final validation accuracy: lr=0.01. The chance that another one is truly better is at most 5%."
    )
    runs = {lr: len(list(folder.glob(f"*-lr{lr:g}-*"))) for lr in ACCURACY}
    assert runs[0.001] <= runs[0.1] <= runs[0.01] < 10
    assert (folder.parent / "reports" / "first_look" / "race.csv").exists()
    again: list[str] = []
    train_until_best(folder, inf, 10, say=again.append)
    assert again == said, "started again, the same laps"


def test_a_race_without_hours_says_what_may_still_be_best(folder: Path) -> None:
    said: list[str] = []
    train_until_best(folder, 0.0, 10, say=said.append)
    assert said[-1].startswith("Best by final validation accuracy, with 95% certainty, is one of these 4: ")


def test_one_setting_is_no_race(tmp_path: Path) -> None:
    run(tmp_path, 0.1, 0)
    with pytest.raises(UserError, match="has runs of one setting; a race takes two"):
        field(tmp_path / "first_look")
    with pytest.raises(UserError, match="holds no run with a result"):
        field(tmp_path / "nothing")
