"""The figures that a study gets unasked: to which studies they come, and what they say in numbers."""

from pathlib import Path

import pytest
from synthetic_study import write_run

from lr_lab.report.figures import styles
from lr_lab.report.kinds import KINDS
from lr_lab.report.kinds.kind import Subject
from lr_lab.report.page import Picture
from lr_lab.study.measured import with_metrics
from lr_lab.study.runs import read_runs
from lr_lab.study.study_file import discover
from lr_lab.study.values import Values

FINALS = {
    0.1: {"epoch": 0.90, "cutoff": 0.80},
    0.01: {"epoch": 0.95, "cutoff": 0.85},
    0.001: {"epoch": 0.5, "cutoff": 0.6},
}


def _subject(folder: Path) -> Subject:
    runs = read_runs(folder)
    study = discover("mine", runs.results)
    runs = with_metrics(runs, study)
    values = Values(runs.results, [setting.name for setting in study.settings], "it")
    return Subject(study, runs, values, [], lambda split, run: None)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """Three rates by two strategies, three seeds each, as the demo."""
    folder = tmp_path_factory.mktemp("outputs")
    for lr, finals in FINALS.items():
        for strategy, final in finals.items():
            for seed in range(3):
                write_run(folder, "mine", [0.3, final + 0.01 * seed], lr=lr, seed=seed, strategy=strategy)
    return _subject(folder / "mine")


def _drawn(kind: str, of: Subject, folder: Path) -> Picture:
    entry = KINDS[kind].suggested(of)
    assert entry is not None
    shown = KINDS[kind](entry, of).draw(folder / kind)
    assert isinstance(shown, Picture)
    assert {file.suffix for file in folder.iterdir()} == {".png", ".svg"}
    return shown


def test_a_sweep_of_rates_shows_a_line_for_each_strategy(grid: Subject, tmp_path: Path) -> None:
    said = _drawn("rate_sweep", grid, tmp_path).alt
    assert said.startswith("Final validation accuracy by base rate. ")
    assert "cutoff: 61.00% at 0.001, 86.00% at 0.01, 81.00% at 0.1" in said
    assert "epoch: 51.00% at 0.001, 96.00% at 0.01, 91.00% at 0.1" in said


def test_two_rates_are_no_sweep_and_one_row_is_no_grid(tmp_path: Path) -> None:
    for lr in (0.1, 0.2):
        write_run(tmp_path, "mine", [0.3, 0.5], lr=lr)
    of = _subject(tmp_path / "mine")
    assert KINDS["rate_sweep"].suggested(of) is None
    assert KINDS["heat_map"].suggested(of) is None


def test_a_grid_is_a_heat_map(grid: Subject, tmp_path: Path) -> None:
    said = _drawn("heat_map", grid, tmp_path).alt
    assert "0.01, epoch: 96.00%" in said
    assert "0.1, cutoff: 81.00%" in said
    svg = (tmp_path / "heat_map.svg").read_text()
    assert "[93.52, 98.48]" in svg, "the interval of 0.95, 0.96, 0.97: 96 less and more 4.303 / sqrt(3) points"


def test_the_best_is_held_against_each_other_setting_seed_by_seed(grid: Subject, tmp_path: Path) -> None:
    said = _drawn("paired", grid, tmp_path).alt
    assert said.startswith("Lead of lr=0.01 epoch: over lr=0.1 epoch +5.00 points")
    assert "over lr=0.01 cutoff +10.00 points, ahead in 3 of 3 seeds" in said


def test_rates_that_differ_from_seed_to_seed_are_shown(tmp_path: Path) -> None:
    for seed in range(2):
        write_run(tmp_path, "mine", [0.3, 0.5, 0.6], lr=0.1, seed=seed)
    assert KINDS["rates_used"].suggested(_subject(tmp_path / "mine")) is None
    of = _subject(tmp_path / "mine")
    assert of.runs.histories is not None
    lowered = (of.runs.histories["epoch"] > 0) & of.runs.histories["run"].str.endswith("seed1")
    of.runs.histories["lr"] = of.runs.histories["lr"].where(~lowered, 0.05).where(lowered, 0.1)
    said = _drawn("rates_used", of, tmp_path / "figures").alt
    assert said == "Rates at the last epoch, over seeds. all runs: from 0.05 to 0.1."


def test_seconds_are_shown_where_epochs_differ_in_length(grid: Subject, tmp_path: Path) -> None:
    assert KINDS["cost"].suggested(grid) is None, "all epochs took as long"
    for lr in (0.1, 0.2):
        write_run(tmp_path, "mine", [0.3, 0.5], lr=lr)
    of = _subject(tmp_path / "mine")
    assert of.runs.histories is not None
    of.runs.histories["seconds"] = of.runs.histories["run"].str.contains("lr0.1").map({True: 1.0, False: 2.0})
    said = _drawn("cost", of, tmp_path / "figures").alt
    assert said == "lr=0.1: 50.00% after 2 epochs and 2 s; lr=0.2: 50.00% after 2 epochs and 4 s."


def test_colour_is_the_rate_and_dash_the_strategy(grid: Subject) -> None:
    look = styles(grid.study)
    assert look["lr=0.1 epoch"].colour == look["lr=0.1 cutoff"].colour != look["lr=0.01 epoch"].colour
    assert look["lr=0.1 epoch"].dash == look["lr=0.01 epoch"].dash != look["lr=0.1 cutoff"].dash
    assert len(set(look.values())) == 6
