"""Figures: what is drawn, on which axes, with which looks."""

from pathlib import Path

import numpy as np
import pytest
from synthetic_study import write_run

from src.analysis import figures
from src.analysis.aggregate import Runs, Values, judged, read_runs
from src.analysis.figures import Axis
from src.analysis.report_tables import Pick
from src.analysis.study import Study, discover, read_study
from src.config import CONFIG_DIR


@pytest.fixture
def study_and_runs(tmp_path: Path) -> tuple[Study, Runs]:
    for lr, final in ((0.1, 0.6), (0.2, 0.9)):
        for seed in range(2):
            write_run(tmp_path, "mine", [0.1, 0.3, 0.5, *[final + 0.01 * seed] * 5], lr=lr, seed=seed)
    runs = read_runs(tmp_path / "mine")
    study = discover("mine", runs.results)
    return study, judged(runs, study)


def test_the_sequences_are_the_reports() -> None:
    lines = figures.sequences(lr=0.01, length=11).axes[0].get_lines()
    drawn = {str(line.get_label())[:4]: np.asarray(line.get_ydata(), dtype=float) for line in lines}
    assert drawn["seq1"][[0, 1, 2, 10]] == pytest.approx([0.01, 0.01, 0.005, 0.001])
    assert drawn["seq2"][4] == pytest.approx(0.005)
    assert drawn["seq3"][2] == pytest.approx(0.0081)
    assert drawn["seq4"][[9, 10, 11]] == pytest.approx([0.002, 0.0005, 0.005])


def test_figures_of_one_column_share_their_axis(study_and_runs: tuple[Study, Runs]) -> None:
    study, runs = study_and_runs
    limits = []
    for name in ("lr=0.1", "lr=0.2"):
        drawn = figures.curves(study, runs, [name], Axis.of({}, study, runs, [name]))
        limits.append(drawn.axes[0].get_ylim())
        line, *_ = drawn.axes[0].get_lines()
        assert list(line.get_xdata()) == list(range(1, 9))
        assert np.asarray(line.get_ydata())[-1] == pytest.approx(0.605 if name == "lr=0.1" else 0.905)
    assert limits[0] == limits[1]
    assert limits[0][0] < 0.1
    assert limits[0][1] > 0.91


def test_a_closer_look_only_where_all_epochs_are_shown(study_and_runs: tuple[Study, Runs]) -> None:
    study, runs = study_and_runs
    names = ["lr=0.1", "lr=0.2"]
    closer = figures.curves(study, runs, names, Axis.of({}, study, runs, names)).axes[1]
    assert closer.get_xlim() == (6, 8)
    assert 0.55 < closer.get_ylim()[0] < 0.6
    first = figures.curves(study, runs, names, Axis.of({"epochs": 4}, study, runs, names))
    assert len(first.axes) == 1
    assert first.axes[0].get_xlim() == (1, 4)


def test_optimal_settings_come_with_the_benchmarks() -> None:
    study = read_study(CONFIG_DIR, "decay_mnist")
    assert study is not None
    values = Values.published(study)
    picks = [
        Pick("By Epoch", "val_accuracy", "seq4_epoch", None),
        Pick("By Epoch", "convergence_epoch", "seq3_epoch", None),
    ]
    chosen = figures.chosen_settings({"select": "val_accuracy"}, study, values, picks)
    assert chosen == ["sgd", "adam", "seq4_epoch"]
    labels = figures.labels(study, chosen)
    assert labels["seq4_epoch"] == "seq4 (cyclic), By Epoch"
    assert figures.labels(study, ["seq4_epoch"]) == {"seq4_epoch": "seq4 (cyclic)"}


def test_no_two_settings_of_a_study_look_alike() -> None:
    study = read_study(CONFIG_DIR, "decay_mnist")
    assert study is not None
    looks = figures.styles(study)
    assert len(set(looks.values())) == len(study.settings) == 14
    assert looks["seq2_epoch"].colour == looks["seq2_cutoff"].colour
    assert looks["seq2_epoch"].dash != looks["seq2_cutoff"].dash


def test_examples_show_two_of_each_class() -> None:
    pictures = np.zeros((6, 4, 4, 1), dtype=np.uint8)
    drawn = figures.examples(pictures, np.array([0, 1, 0, 1, 0, 2]))
    assert [len(axes.get_images()) for axes in drawn.axes] == [1, 1, 1, 1, 1, 0]


def test_a_figure_is_saved_twice_the_same(tmp_path: Path) -> None:
    for folder in ("once", "twice"):
        figures.save(figures.sequences(0.01, 5), tmp_path / folder / "figure")
    for ending in ("png", "svg"):
        files = [(tmp_path / folder / f"figure.{ending}").read_bytes() for folder in ("once", "twice")]
        assert files[0] == files[1]
