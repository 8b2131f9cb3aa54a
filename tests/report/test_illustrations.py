"""Which figures a report draws and shows; what is in them is tested where they are drawn."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from synthetic_study import write_run

from lr_lab.errors import UserError
from lr_lab.report.illustrations import MOST_CURVES, Illustrations
from lr_lab.report.interactive import Panel
from lr_lab.report.kinds.curves import MOST_CURVES_IN_A_FIGURE
from lr_lab.report.kinds.kind import LINES_AT_FIRST
from lr_lab.report.page import Picture
from lr_lab.study.measured import with_metrics
from lr_lab.study.runs import Runs, read_runs
from lr_lab.study.study_file import Study, discover
from lr_lab.study.values import Values

RISING = [0.2, 0.5, 0.7, 0.8]


PICTURES = np.zeros((4, 8, 8, 1), np.uint8), np.array([0, 0, 1, 1])


def illustrations(
    tmp_path: Path,
    rates: int = 2,
    figures: list[dict[str, object]] | None = None,
    with_data: bool = True,
    with_histories: bool = True,
) -> Illustrations:
    """Of a study whose accuracy grows with the rate; its data are four grey pictures of two classes."""
    shutil.rmtree(tmp_path / "mine", ignore_errors=True)
    for number in range(1, rates + 1):
        write_run(tmp_path, "mine", [a * (0.5 + number / rates / 2) for a in RISING], lr=number / 100)
    runs = read_runs(tmp_path / "mine")
    study = discover("mine", runs.finished)
    study = Study("mine", "Mine", settings=study.settings, figures=figures or ())
    runs = with_metrics(runs if with_histories else Runs(runs.results), study)
    values = Values(runs.results, [setting.name for setting in study.settings], "it")
    samples = PICTURES if with_data else None
    return Illustrations(study, runs, values, [], tmp_path / "figures", lambda split, run: samples)


def test_a_study_without_a_file_gets_curves_and_one_panel_of_all(tmp_path: Path) -> None:
    drawn = illustrations(tmp_path).draw()
    assert sorted(file.name for file in (tmp_path / "figures").iterdir()) == ["curves.png", "curves.svg"]
    assert [len(shown.lines) for shown in drawn.shown if isinstance(shown, Panel)] == [2, 2] == [2] * len(drawn.shown)
    assert set(drawn.drawing.divs) == {"curves", "curves_closer", "all_val_accuracy", "all_val_loss", "all_lr"}


def test_plots_of_one_quantity_share_their_axis(tmp_path: Path) -> None:
    columns = ["train_loss", "val_loss", "val_accuracy"]
    entry: dict[str, object] = {
        "name": "three",
        "kind": "panels",
        "settings": "*",
        "columns": columns,
        "caption": "Three.",
    }
    three = illustrations(tmp_path, figures=[entry]).draw().shown[0]
    assert isinstance(three, Panel)
    train, val, accuracy = (three.plots[f"three_{column}"].y_range for column in columns)
    assert train is val
    assert train is not accuracy


def test_of_many_settings_the_best_are_shown(tmp_path: Path) -> None:
    rates = MOST_CURVES + 5
    sweep, figure, everything = illustrations(tmp_path, rates).draw().shown
    assert isinstance(sweep, Picture)
    assert isinstance(figure, Panel)
    assert isinstance(everything, Panel)
    best = [f"lr={number / 100:g}" for number in range(rates - MOST_CURVES_IN_A_FIGURE + 1, rates + 1)]
    assert [line.label for line in figure.lines] == best
    assert f"the best {MOST_CURVES} of {rates}" in everything.title
    assert [line.label for line in figure.lines if line.on] == best[-LINES_AT_FIRST:]
    drawn = {one.name: one.visible for one in figure.plots["curves"].renderers}
    assert [name for name, is_visible in drawn.items() if is_visible] == best[-LINES_AT_FIRST:]


def test_a_figures_name_may_have_dots(tmp_path: Path) -> None:
    figures: list[dict[str, object]] = [
        {"name": f"rate_{rate}", "kind": "panels", "settings": [f"lr={rate}"], "columns": ["lr"], "caption": str(rate)}
        for rate in ("0.01", "0.02")
    ]
    illustrations(tmp_path, figures=figures).draw()
    drawn = sorted(file.name for file in (tmp_path / "figures").glob("*.png"))
    assert drawn == ["rate_0.01.png", "rate_0.02.png"]


def test_lines_of_single_runs_are_a_picture_and_are_left_out_of_a_table_alone(tmp_path: Path) -> None:
    figures: list[dict[str, object]] = [
        {"name": "runs", "kind": "seeds", "settings": "*", "columns": ["val_loss", "sharpness"], "caption": "All."},
        {"name": "probes", "kind": "seeds", "settings": "*", "columns": ["sharpness"], "caption": "Not measured."},
    ]
    shown = illustrations(tmp_path, figures=figures).draw().shown
    assert [each.file.name for each in shown if isinstance(each, Picture)] == ["runs.svg"]
    assert not illustrations(tmp_path, figures=figures, with_histories=False).draw().shown


def test_what_was_drawn_before_is_shown_where_the_data_are_not_at_hand(tmp_path: Path) -> None:
    figures: list[dict[str, object]] = [{"name": "pictures", "kind": "examples", "caption": "Some."}]
    illustrations(tmp_path, figures=figures).draw()

    def shown() -> list[Picture]:
        drawn = illustrations(tmp_path, figures=figures, with_data=False).draw()
        return [each for each in drawn.shown if isinstance(each, Picture)]

    assert len(shown()) == 1
    (tmp_path / "figures" / "pictures.png").unlink()
    assert not shown()


def test_pictures_are_those_of_the_data_at_hand(tmp_path: Path) -> None:
    figures: list[dict[str, object]] = [{"name": "pictures", "kind": "examples", "caption": "Some."}]
    drawn = tmp_path / "figures" / "pictures.png"
    drawn.parent.mkdir()
    drawn.write_bytes(b"of other data")
    illustrations(tmp_path, figures=figures).draw()
    assert drawn.read_bytes() != b"of other data"


def test_what_a_figure_lacks_is_named(tmp_path: Path) -> None:
    figures: list[dict[str, object]] = [{"name": "lines", "kind": "panels", "settings": "*", "caption": "Lines."}]
    with pytest.raises(
        UserError, match="Figure lines of study mine has no columns; kind=panels needs settings, columns"
    ):
        illustrations(tmp_path, figures=figures).draw()


def test_an_unknown_kind_is_named_with_those_there_are(tmp_path: Path) -> None:
    figures: list[dict[str, object]] = [{"name": "pie", "kind": "pie", "caption": "Pie."}]
    sentence = "Figure pie of study mine: kind=pie is not known; known are rate_sweep, heat_map"
    with pytest.raises(UserError, match=sentence):
        illustrations(tmp_path, figures=figures).draw()
