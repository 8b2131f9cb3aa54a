"""What a plot of a page shows; whether a browser draws it is looked at by eye."""

import numpy as np
import pytest
from bokeh.models import ColumnDataSource

from src.analysis.figures import Style
from src.analysis.interactive import Line, plot


def line(*rates: float) -> Line:
    values = {f"lr_{part}": np.array(rates) for part in ("mean", "low", "high", "runs")}
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
