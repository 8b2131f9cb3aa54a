"""The curves of a page, drawn by Bokeh: hover to read a value, zoom, switch settings on and off.

Bokeh, because its script is the smallest of the well-kept Python plotting libraries that need no network: 1.3 MB, where
plotly's takes 4.8. A page must be one file, and the reports are kept in the repository.
"""

from __future__ import annotations

import base64
import gzip
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from bokeh.embed import components
from bokeh.models import (
    ColumnDataSource,
    CustomJSTickFormatter,
    DataRange1d,
    FixedTicker,
    HoverTool,
    NumeralTickFormatter,
    Range1d,
    VArea,
    glyphs,
)
from bokeh.plotting import figure as bokeh_figure
from bokeh.resources import Resources

from lr_lab.report.figures import COLUMN_LABELS, LINE_WIDTH, UNDER, Axis, Style, widths
from lr_lab.study.metrics import METRICS
from lr_lab.study.runs import Runs

# The label of a tick on a logarithmic axis, in JavaScript.
_TICK = "return tick >= 1e-4 && tick < 1e5 ? String(Number(tick.toPrecision(3))) : tick.toExponential(0)"
_DASHES = {"solid": [], "dashed": [6, 3], "dotted": [2, 3], "dashdot": [8, 3, 2, 3]}


@dataclass(frozen=True)
class Line:
    """A setting in a plot, `on` from the start or not. All plots share its source: a page holds its numbers once."""

    source: ColumnDataSource
    label: str
    style: Style
    on: bool = True

    @property
    def dash(self) -> list[int]:
        """Lengths in pixels, on and off in turn; empty: solid."""
        return _DASHES[self.style.dash]


@dataclass(frozen=True)
class Panel:
    """Plots whose lines are the same and are switched together, by their names in `Drawing.divs`.

    Attributes:
        alt: what they show, in numbers, for a person who does not see them.
    """

    title: str
    plots: Mapping[str, Any]
    lines: Sequence[Line]
    alt: str = ""


@dataclass(frozen=True)
class Drawing:
    """The HTML of all plots of a page: one `script`, and a `div` per plot by its name."""

    script: str
    divs: Mapping[str, str]


def source(runs: Runs, setting: str, columns: Sequence[str]) -> ColumnDataSource:
    """By epoch, of each column the mean, range and number of seeds: `<column>_mean`, `_low`, `_high`, `_runs`."""
    tables = [runs.curve(setting, column).set_index("epoch").add_prefix(f"{column}_") for column in columns]
    together = pd.concat(tables, axis=1).sort_index()
    data = {name: values.to_numpy(np.float32) for name, values in together.items()}
    return ColumnDataSource({"epoch": together.index.to_numpy(np.int32), **data})


def curves(name: str, lines: Sequence[Line], axis: Axis) -> dict[str, Any]:
    """The plots of a figure of curves by name; as `figures.curves`."""
    plots = {name: plot(name, lines, axis.column, axis.epochs, axis.limits, axis.scale)}
    if axis.closer_limits:
        closer = f"{name}_closer"
        plots[closer] = plot(closer, lines, axis.column, axis.closer_epochs, axis.closer_limits)
    return plots


def plot(
    name: str,
    lines: Sequence[Line],
    column: str,
    epochs: tuple[float, float] | None = None,
    limits: tuple[float, float] | None = None,
    scale: Literal["linear", "log"] = "linear",
    beside: Sequence[str] = (),
) -> Any:
    """One plot of a column over epochs, a Bokeh figure.

    Args:
        beside: the columns whose plots share its vertical axis.
        epochs: the part of the horizontal axis that is shown; None: all.
        limits: of the vertical axis; None: what the settings that are switched on need.
    """
    fraction = column == "train_accuracy" or (column in METRICS and METRICS[column].fraction)
    number = "0.00%" if fraction else "0.00000"
    drawn: Any = bokeh_figure(
        name=name,
        height=330,
        sizing_mode="stretch_width",
        x_axis_label="epoch",
        y_axis_label=COLUMN_LABELS.get(column, column),
        y_axis_type=scale,
        x_range=Range1d(start=epochs[0], end=epochs[1]) if epochs else DataRange1d(range_padding=0.02),
        y_range=Range1d(start=limits[0], end=limits[1]) if limits else DataRange1d(only_visible=True),
        tools="box_zoom,reset",
        active_drag=None,  # a finger that scrolls the page must not zoom the plot
    )
    if scale == "log":
        # Bokeh's own ticker labels at most every second decade and rounds its labels to powers of ten.
        drawn.yaxis.ticker = FixedTicker(ticks=_log_ticks(*(limits or _extent(lines, [column, *beside]))))
        drawn.yaxis.formatter = CustomJSTickFormatter(code=_TICK)
    drawn.toolbar.logo = None
    drawn.toolbar.autohide = True
    if fraction:
        drawn.yaxis.formatter = NumeralTickFormatter(format="0.[00]%")
    means = []
    width = widths({line.label: line.source.data[f"{column}_mean"] for line in lines if line.on})
    for line in lines:
        # Glyphs of their own, because the figure's shorthands make three more of each, for states no page here has.
        band = VArea(x="epoch", y1=f"{column}_low", y2=f"{column}_high", fill_color=line.style.colour, fill_alpha=0.13)
        mean = glyphs.Line(x="epoch", y=f"{column}_mean", line_color=line.style.colour, line_dash=line.dash)
        mean.line_width = width.get(line.label, LINE_WIDTH)
        mean.line_alpha = UNDER if mean.line_width > LINE_WIDTH else 1
        drawn.add_glyph(line.source, band, name=line.label, visible=line.on)
        means.append(drawn.add_glyph(line.source, mean, name=line.label, visible=line.on))
    # In braces, because a probe's column has a slash in its name.
    of_mean, of_low, of_high = (f"@{{{column}_{part}}}{{{number}}}" for part in ("mean", "low", "high"))
    values = f"{of_mean} ({of_low} to {of_high})"
    tooltips = [("", "$name"), ("epoch", "@epoch"), ("mean (range)", values), ("seeds", f"@{{{column}_runs}}")]
    drawn.add_tools(HoverTool(renderers=means, tooltips=tooltips))
    return drawn


def _extent(lines: Sequence[Line], columns: Sequence[str]) -> tuple[float, float]:
    """From the lowest to the highest number above 0 that the lines have in the columns; 1 to 1 without one."""
    ends = [f"{column}_{end}" for column in columns for end in ("low", "high")]
    numbers = np.concatenate([line.source.data[end] for line in lines for end in ends])
    shown = numbers[np.isfinite(numbers) & (numbers > 0)]
    return (float(shown.min()), float(shown.max())) if len(shown) else (1.0, 1.0)


def _log_ticks(low: float, high: float) -> list[float]:
    """Over three decades or fewer 1, 2 and 5 of each, over more the powers of ten, nine or so at most."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    mantissas = (1, 2, 5) if last - first <= 3 else (1,)
    decades = range(first, last + 1, max(1, math.ceil((last - first) / 8)))
    return [mantissa * 10.0**decade for decade in decades for mantissa in mantissas]


def draw(plots: Mapping[str, Any]) -> Drawing:
    """The HTML of the plots, Bokeh's own script with them."""
    if not plots:
        return Drawing("", {})
    script, divs = components(dict(plots), wrap_script=False)
    return Drawing(_packed("\n".join([*Resources(mode="inline", components=["bokeh"]).js_raw, script])), divs)


def _packed(script: str) -> str:
    """A script element that unpacks a script and runs it: of 1.3 MB a page has to carry 0.5."""
    packed = base64.b64encode(gzip.compress(script.encode(), mtime=0)).decode()
    return f"""<script type="module">
const packed = Uint8Array.from(atob("{packed}"), letter => letter.charCodeAt(0));
const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
const script = document.createElement("script");
script.textContent = await new Response(unpacked).text();
document.body.append(script);
</script>"""
