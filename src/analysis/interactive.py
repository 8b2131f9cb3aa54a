"""The curves of a page, drawn by Bokeh: hover to read a value, zoom, switch settings on and off.

Bokeh, because its script is the smallest of the well-kept Python plotting libraries that need no network: 1.3 MB in every
page, where plotly's takes 4.8. A page must be one file, and the reports are kept in the repository.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from bokeh.embed import components
from bokeh.models import ColumnDataSource, DataRange1d, HoverTool, NumeralTickFormatter, Range1d
from bokeh.plotting import figure as bokeh_figure
from bokeh.plotting._figure import figure as BokehFigure
from bokeh.resources import Resources

from src.analysis.aggregate import METRICS, Runs
from src.analysis.figures import COLUMN_LABELS, Style

_DASHES = {"solid": "solid", "dashed": [6, 3], "dotted": [2, 3], "dashdot": [8, 3, 2, 3]}


@dataclass(frozen=True)
class Panel:
    """Plots that show the same settings and whose settings are switched together.

    Attributes:
        title: what stands above it.
        plots: names of its plots, as in `Drawing.divs`.
        settings: (label, style) of what can be switched.
    """

    title: str
    plots: Sequence[str]
    settings: Sequence[tuple[str, Style]]


@dataclass(frozen=True)
class Drawing:
    """The HTML of all plots of a page: one `script`, and a `div` per plot by its name."""

    script: str
    divs: Mapping[str, str]


def source(runs: Runs, setting: str, columns: Sequence[str]) -> ColumnDataSource:
    """Mean and range over seeds of the columns, by epoch; all plots of a setting share it, so a page holds it once."""
    tables = [
        runs.curve(setting, column).set_index("epoch")[["mean", "low", "high"]].add_prefix(f"{column}_")
        for column in columns
    ]
    together = pd.concat(tables, axis=1).sort_index()
    data = {name: values.to_numpy(np.float32) for name, values in together.items()}
    return ColumnDataSource({"epoch": together.index.to_numpy(np.int32), **data})


def plot(
    name: str,
    sources: Mapping[str, ColumnDataSource],
    labels: Mapping[str, str],
    styles: Mapping[str, Style],
    column: str,
    epochs: tuple[float, float] | None = None,
    limits: tuple[float, float] | None = None,
) -> BokehFigure:
    """One plot of a column over epochs.

    Args:
        sources, labels, styles: by setting.
        epochs: the part of the horizontal axis that is shown at first; None: all.
        limits: of the vertical axis; None: what the settings that are switched on need.
    """
    fraction = (column in METRICS and METRICS[column].fraction) or column == "train_accuracy"
    number = "0.00%" if fraction else "0.0000"
    drawn = bokeh_figure(
        name=name,
        height=330,
        sizing_mode="stretch_width",
        x_axis_label="epoch",
        y_axis_label=COLUMN_LABELS.get(column, column),
        y_axis_type="log" if column == "lr" else "linear",
        x_range=Range1d(*epochs) if epochs else DataRange1d(range_padding=0.02),
        y_range=Range1d(*limits) if limits else DataRange1d(only_visible=True),
        tools="box_zoom,reset",
        active_drag=None,  # a finger that scrolls the page must not zoom the plot
    )
    drawn.toolbar.logo = None
    if fraction:
        drawn.yaxis.formatter = NumeralTickFormatter(format="0.0%")
    lines = []
    for setting, data in sources.items():
        look = {"color": styles[setting].colour, "name": labels[setting]}
        drawn.varea("epoch", f"{column}_low", f"{column}_high", source=data, fill_alpha=0.13, **look)
        lines.append(
            drawn.line(
                "epoch", f"{column}_mean", source=data, line_width=2, line_dash=_DASHES[styles[setting].dash], **look
            )
        )
    values = f"@{column}_mean{{{number}}} (@{column}_low{{{number}}} to @{column}_high{{{number}}})"
    drawn.add_tools(HoverTool(renderers=lines, tooltips=[("", "$name"), ("epoch", "@epoch"), ("mean (seeds)", values)]))
    return drawn


def draw(plots: Sequence[BokehFigure]) -> Drawing:
    if not plots:
        return Drawing("", {})
    script, divs = components({drawn.name: drawn for drawn in plots})
    return Drawing(script, divs)


def library() -> str:
    """Bokeh's own script, to be put into a page once."""
    return Resources(mode="inline", components=["bokeh"]).render()
