"""Figures: what is drawn, on which axes, with which looks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic_study import write_run

from lr_lab.report import figures
from lr_lab.report.figures import DASHES, Axis, styles
from lr_lab.report.tables import Pick
from lr_lab.run.config import CONFIG_DIR
from lr_lab.study.measured import with_metrics
from lr_lab.study.runs import Runs, read_runs
from lr_lab.study.study_file import Setting, Study, discover, read_study
from lr_lab.study.values import Values

TWO = [{"name": name, "kind": "curves", "caption": ""} for name in ("a", "b")]


@pytest.fixture
def study_and_runs(tmp_path: Path) -> tuple[Study, Runs]:
    for lr, final in ((0.1, 0.6), (0.2, 0.9)):
        for seed in range(2):
            write_run(tmp_path, "mine", [0.1, 0.3, 0.5, *[final + 0.01 * seed] * 5], lr=lr, seed=seed)
    runs = read_runs(tmp_path / "mine")
    study = discover("mine", runs.results)
    return study, with_metrics(runs, study)


def test_every_run_has_a_line_of_its_own_on_an_axis_that_settings_share(study_and_runs: tuple[Study, Runs]) -> None:
    study, runs = study_and_runs
    names, limits = ["lr=0.1", "lr=0.2"], {"val_accuracy": (0.0, 1.0)}
    drawn = figures.seeds(study, runs, names, ["val_accuracy", "val_loss"], limits, log=["val_loss"])
    assert [len(axes.get_lines()) for axes in drawn.axes] == [2, 2, 2, 2]
    assert [axes.get_yscale() for axes in drawn.axes] == ["linear", "log", "linear", "log"]
    assert drawn.axes[0].get_ylim() == drawn.axes[2].get_ylim() == (0, 1)
    ends = [float(np.asarray(line.get_ydata())[-1]) for line in drawn.axes[2].get_lines()]
    assert ends == pytest.approx([0.9, 0.91])
    lowest, highest = drawn.axes[1].get_ylim()
    for axes in (drawn.axes[1], drawn.axes[3]):  # all lines of a column, also those of the settings below
        assert all(lowest < float(loss) < highest for line in axes.get_lines() for loss in np.asarray(line.get_ydata()))
    seeds = [{str(line.get_label()): line.get_color() for line in axes.get_lines()} for axes in drawn.axes]
    assert seeds[0] == seeds[3]


def test_of_many_seeds_the_first_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    for seed in range(14):
        write_run(tmp_path, "mine", [0.1, 0.3 + 0.01 * seed], seed=seed)
    runs = read_runs(tmp_path / "mine")
    study = discover("mine", runs.results)
    drawn = figures.seeds(study, with_metrics(runs, study), ["all runs"], ["val_accuracy"], {})
    (axes,) = drawn.axes
    assert [line.get_label() for line in axes.get_lines()] == [f"seed {seed}" for seed in range(12)]
    assert axes.get_ylabel() == "all runs\n12 of 14 seeds"


def test_a_dot_marks_where_most_runs_have_converged(study_and_runs: tuple[Study, Runs]) -> None:
    study, runs = study_and_runs
    names = ["lr=0.1", "lr=0.2"]
    epochs = runs.results["setting"].map({"lr=0.1": 4.0, "lr=0.2": np.nan})  # those at 0.2 never do
    seen = Runs(runs.results.assign(convergence_epoch=epochs), runs.histories)
    drawn = figures.curves(study, seen, names, Axis.of({}, study, seen, names))
    dots = [line for line in drawn.axes[0].get_lines() if line.get_marker() == "o"]
    assert [list(np.asarray(dot.get_xdata())) for dot in dots] == [[4.0], []]
    assert dots[-1].get_label() == "converged, median of seeds"


def test_panels_of_one_quantity_share_their_axis(study_and_runs: tuple[Study, Runs]) -> None:
    study, runs = study_and_runs
    assert runs.histories is not None
    runs = Runs(runs.results, runs.histories.assign(train_loss=runs.histories["val_loss"] / 3))
    columns = ["train_loss", "val_loss", "val_accuracy", "lr"]
    drawn = figures.panels(study, runs, ["lr=0.1", "lr=0.2"], columns)
    drawn.draw_without_rendering()
    train, val, accuracy, rate = drawn.axes
    assert train.get_ylim() == val.get_ylim()
    for axes in (train, val):
        lowest, highest = axes.get_ylim()
        assert all(lowest < loss < highest for line in axes.get_lines() for loss in np.asarray(line.get_ydata()))
    assert len({axes.get_ylim() for axes in (train, accuracy, rate)}) == 3


def test_the_legend_of_panels_stays_in_the_picture(study_and_runs: tuple[Study, Runs]) -> None:
    study, runs = study_and_runs
    settings = [replace(setting, group=f"with {'long ' * 14}name {setting.name}") for setting in study.settings]
    drawn = figures.panels(replace(study, settings=settings), runs, [s.name for s in settings], ["lr"])
    drawn.draw_without_rendering()
    box = drawn.legends[0].get_window_extent()
    assert 0 <= box.x0 < box.x1 <= drawn.bbox.x1


def test_an_epoch_in_which_a_probe_rested_leaves_no_gap(study_and_runs: tuple[Study, Runs]) -> None:
    study, runs = study_and_runs
    assert runs.histories is not None
    rested = runs.histories.assign(sharpness=runs.histories["val_loss"].where(runs.histories["epoch"] % 2 == 0))
    drawn = figures.seeds(study, Runs(runs.results, rested), ["lr=0.1"], ["sharpness"], {})
    assert np.asarray(drawn.axes[0].get_lines()[0].get_xdata()).tolist() == [1, 3, 5, 7]


def test_a_table_alone_has_no_lines(study_and_runs: tuple[Study, Runs]) -> None:
    study, runs = study_and_runs
    with pytest.raises(ValueError, match="no histories"):
        figures.seeds(study, Runs(runs.results), ["lr=0.1"], ["val_loss"], {})


def test_the_sequences_are_the_reports() -> None:
    lines = figures.sequences(lr=0.01, length=11).axes[0].get_lines()
    drawn = {str(line.get_label())[:4]: np.asarray(line.get_ydata(), dtype=float) for line in lines}
    assert drawn["seq1"][[0, 1, 2, 10]] == pytest.approx([0.01, 0.01, 0.005, 0.001])
    assert drawn["seq2"][4] == pytest.approx(0.005)
    assert drawn["seq3"][2] == pytest.approx(0.0081)
    assert drawn["seq4"][[9, 10, 11]] == pytest.approx([0.002, 0.0005, 0.005])


def test_figures_of_one_column_share_their_axis(study_and_runs: tuple[Study, Runs]) -> None:
    study, runs = study_and_runs
    assert Axis.of({}, study, runs, ["lr=0.1"]).limits[1] < 0.7, "a single figure is as high as what it shows"
    study = replace(study, figures=TWO)
    limits = []
    for name in ("lr=0.1", "lr=0.2"):
        drawn = figures.curves(study, runs, [name], Axis.of({}, study, runs, [name]))
        limits.append(drawn.axes[0].get_ylim())
        line, *_ = drawn.axes[0].get_lines()
        assert np.asarray(line.get_xdata()).tolist() == list(range(1, 9))
        assert np.asarray(line.get_ydata())[-1] == pytest.approx(0.605 if name == "lr=0.1" else 0.905)
    assert limits[0] == limits[1]
    assert limits[0][0] < 0.1
    assert limits[0][1] > 0.91


def test_what_only_explores_does_not_stretch_the_axis_of_the_others(study_and_runs: tuple[Study, Runs]) -> None:
    study, runs = study_and_runs
    groups = [replace(setting, group=setting.name) for setting in study.settings]
    exploring = replace(study, settings=groups, exploration=["lr=0.2"], figures=TWO)
    assert Axis.of({}, exploring, runs, ["lr=0.1"]).limits[1] < 0.7
    assert Axis.of({}, exploring, runs, ["lr=0.2"]).limits[1] > 0.9


def test_a_dot_of_a_regression_stands_at_its_step(study_and_runs: tuple[Study, Runs]) -> None:
    """Step 0 is the loss that epoch 1 began with."""
    study, runs = study_and_runs
    seen = Runs(runs.results.assign(convergence_epoch=3.0, val_accuracy=np.nan), runs.histories)
    drawn = figures.curves(study, seen, ["lr=0.1"], Axis.of({"column": "val_loss"}, study, seen, ["lr=0.1"]))
    assert [list(np.asarray(line.get_xdata())) for line in drawn.axes[0].get_lines() if line.get_marker() == "o"] == [
        [4.0],
        [],
    ]


def test_a_run_that_has_not_settled_has_no_dot(study_and_runs: tuple[Study, Runs]) -> None:
    study, runs = study_and_runs
    seen = Runs(runs.results.assign(convergence_epoch=8.0), runs.histories)
    drawn = figures.curves(study, seen, ["lr=0.1"], Axis.of({}, study, seen, ["lr=0.1"]))
    assert not [line for line in drawn.axes[0].get_lines() if line.get_marker() == "o"]


def test_the_legend_of_curves_stays_in_the_picture(study_and_runs: tuple[Study, Runs]) -> None:
    study, runs = study_and_runs
    long = replace(study, settings=[replace(s, label=f"{s.label} {'of a long name ' * 4}") for s in study.settings])
    names = ["lr=0.1", "lr=0.2"]
    drawn = figures.curves(long, runs, names, Axis.of({}, long, runs, names))
    drawn.canvas.draw()
    box = drawn.legends[0].get_window_extent()
    assert 0 <= box.x0 < box.x1 <= drawn.bbox.width


def test_an_accuracy_is_in_percent_on_both_sides(study_and_runs: tuple[Study, Runs]) -> None:
    study, runs = study_and_runs
    names = [setting.name for setting in study.settings]
    drawn = figures.curves(study, runs, names, Axis.of({}, study, runs, names))
    assert len(drawn.axes) == 2
    drawn.canvas.draw()
    for axes in drawn.axes:
        shown = [label.get_text() for label in axes.get_yticklabels()]
        assert len(set(shown)) == len(shown) > 2
        assert all(text.endswith("%") for text in shown)
    assert drawn.axes[0].yaxis.get_major_formatter()(0.9865) == "98.65%"
    assert drawn.axes[0].yaxis.get_major_formatter()(0.4) == "40%"


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


def test_settings_of_more_groups_than_dashes_are_told_apart() -> None:
    groups = [f"group {number}" for number in range(2 * len(DASHES))]
    settings = [Setting(f"{group}/{place}", "it", {}, group) for group in groups for place in range(3)]
    look = styles(Study("mine", "Mine", settings=settings))
    assert len({(style.colour, style.dash) for style in look.values()}) == len(settings)


def test_settings_of_one_label_share_their_colour_wherever_they_stand_in_their_group() -> None:
    settings = [Setting(f"{group}/{label}", label, {}, group) for group in "ab" for label in "xyz"[group == "b" :]]
    look = styles(Study("mine", "Mine", settings=settings))
    assert look["a/y"].colour == look["b/y"].colour != look["a/x"].colour
    assert look["a/y"].dash != look["b/y"].dash


def test_a_legend_of_many_rows_leaves_the_panels_their_height(study_and_runs: tuple[Study, Runs]) -> None:
    study, runs = study_and_runs
    heights = []
    for repeats in (1, 60):
        long = replace(study, settings=[replace(s, label=f"{s.label} {'x' * repeats}") for s in study.settings])
        drawn = figures.panels(long, runs, [s.name for s in study.settings], ["lr"])
        drawn.draw_without_rendering()
        heights.append(drawn.axes[0].get_window_extent().height)
    assert heights[1] == pytest.approx(heights[0], rel=0.1)


def test_rivals_differ_in_colour_where_groups_have_used_up_the_dashes() -> None:
    settings = [
        Setting(f"{group}/{label}", label, {}, group)
        for group in "abcdefg"
        for label in "wxyz"[: 1 + (group > "d") * 2]
    ]
    look = styles(Study("mine", "Mine", settings=settings))
    for group in "efg":
        assert len({style.colour for name, style in look.items() if name[0] == group}) == 3


def test_a_logarithmic_axis_without_a_curve_has_limits_above_0(study_and_runs: tuple[Study, Runs]) -> None:
    study, runs = study_and_runs
    axis = Axis.of({"column": "train_loss", "scale": "log"}, study, Runs(runs.results), ["lr=0.1", "lr=0.2"])
    assert 0 < axis.limits[0] < axis.limits[1]


def test_lines_that_coincide_stay_visible() -> None:
    same, late = [0.1, 0.2, 0.3, 0.4, 0.5], [0.1, 0.2, 0.3, 0.4, 0.9]
    found = figures.widths({"a": same, "b": [1.0, 2.0], "c": late, "d": same, "empty": []})
    assert found["a"] > found["c"] > found["d"] == found["b"] == found["empty"]
