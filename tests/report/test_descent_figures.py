"""The figures of descent show what they are given."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageSequence

from lr_lab.report import descent_figures
from lr_lab.report.descent_figures import Surface, Way
from lr_lab.report.figures import Style

POINTS = Surface(np.array([[-1.0, 1.0], [0.0, 1.0], [1.0, 1.0]]), np.array([-1.0, 2.0, 5.0]))  # y = 3 x + 2
WAYS = [
    Way("slow", Style("#0072B2", "solid"), np.linspace([-1, 1], [2, 1.5], 40)),
    Way("fast", Style("#D55E00", "solid"), np.array([[-1, 1], [2, 3], [3, 2]], dtype=float)),
]


def test_the_surface() -> None:
    assert POINTS.minimum == pytest.approx([3, 2])
    assert POINTS.loss(np.array([[3, 2], [3, 4], [0, 2]])) == pytest.approx([0, 4, 6])


def test_the_fitted_line_ends_where_the_weights_do() -> None:
    figure = descent_figures.fit(POINTS, WAYS)
    assert [axes.get_title() for axes in figure.axes] == ["slow", "fast"]
    last = figure.axes[1].lines[-1]
    assert np.asarray(last.get_xydata()).tolist() == [[-1, -1], [1, 5]]
    shown = len(figure.axes[0].lines) - 2  # without the points and the last line
    assert shown == len([0, 1, 2, 4, 8, 16, 32])


def test_the_path_is_that_of_the_weights() -> None:
    figure = descent_figures.path(POINTS, WAYS)
    line = figure.axes[1].lines[-1]
    assert np.array_equal(line.get_xydata(), WAYS[1].weights)


def test_measured_factors_lie_over_their_rates() -> None:
    rows = [{"lr": lr, "seed": 0, "contraction": factor} for lr, factor in ((0.1, 0.9), (0.5, 0.5))]
    given = {"curvature/0": 1.0, "curvature/1": 3.0, "best_rate": 0.5, "rate_limit": 2 / 3}
    axes = descent_figures.contraction(pd.DataFrame([row | given for row in rows])).axes[0]
    theory, measured = axes.lines[:2]
    assert np.array_equal(measured.get_xydata(), [[0.1, 0.9], [0.5, 0.5]])
    assert np.interp([0.1, 0.5], *np.asarray(theory.get_xydata()).T) == pytest.approx([0.9, 0.5], abs=0.01)


def test_every_step_is_a_frame_that_differs(tmp_path: Path) -> None:
    descent_figures.save_animation(POINTS, WAYS, 5, tmp_path / "descent.gif")
    with Image.open(tmp_path / "descent.gif") as animation:
        frames = []
        for frame in ImageSequence.Iterator(animation):
            frames.append(np.asarray(frame.convert("RGB")).tobytes())
    assert len(set(frames)) == 6
