"""The contents of a page's plots; a person checks by eye that a browser draws them."""

import numpy as np
import pytest
from bokeh.models import ColumnDataSource

from lr_lab.report.figures import Style
from lr_lab.report.interactive import Line, plot


def line(*rates: float, column: str = "lr") -> Line:
    values = {f"{column}_{part}": np.array(rates) for part in ("mean", "low", "high", "runs")}
    return Line(ColumnDataSource({"epoch": np.arange(len(rates)), **values}), "it", Style("#000000", "solid"))


@pytest.mark.parametrize(
    ("rates", "ticks"),
    [
        ((0.02, 0.04), [0.01, 0.02, 0.05, 0.1]),
        ((0.0, np.nan, 0.3), [0.1, 0.2, 0.5, 1]),
        ((1e-5, 0.3), [1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1]),
        ((1e-9, 100.0), [1e-9, 1e-7, 1e-5, 1e-3, 0.1, 10]),
        ((0.0,), [1]),
    ],
)
def test_a_logarithmic_axis_has_ticks_where_the_numbers_are(rates: tuple[float, ...], ticks: list[float]) -> None:
    found = np.array(plot("it", [line(*rates)], "lr", scale="log").yaxis[0].ticker.ticks)
    shown = found[(found >= min(ticks) * 0.999) & (found <= max(ticks) * 1.001)]
    assert shown.tolist() == pytest.approx(ticks)
    assert len(found) <= 12


def test_plots_that_share_an_axis_have_its_ticks() -> None:
    low, high = line(1e-6, 1.0, column="train_loss"), line(0.1, 1.0, column="val_loss")
    low.source.data.update(high.source.data)
    drawn = plot("it", [low], "val_loss", scale="log", beside=["train_loss", "val_loss"])
    assert min(drawn.yaxis[0].ticker.ticks) == pytest.approx(1e-6)
